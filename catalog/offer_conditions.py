"""Conditions on offers, as people write them: category=Food>Fruit, brand=Acme, price=10..20."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from catalog.columns import did_you_mean
from model.errors import SettingsError
from model.taxonomy import normalize_path

_COLUMNS = ("category", "brand", "mall", "price")


@dataclass(frozen=True)
class OfferConditions:
    """Conditions that offers meet all of; without any, all offers do.

    Args:
        category: a node of the tree, normalized; offers in its sub-tree meet it.
        brands, malls: offers with any of these, letter for letter.
        min_price, max_price: inclusive; an offer without a price meets neither.
    """

    category: str = ""
    brands: tuple[str, ...] = ()
    malls: tuple[str, ...] = ()
    min_price: float = -math.inf
    max_price: float = math.inf

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read conditions such as 'category=Food>Fruit', 'brand=Acme', 'price=10..20', 'price=..20'.

        Several conditions on brand or mall are alternatives.

        Raises:
            SettingsError: no COLUMN=VALUE, an unknown column, one that stands twice, or no range.
        """
        values: dict[str, list[str]] = {}
        for text in texts:
            column, value = _column_and_value(text)
            values.setdefault(column, []).append(value)
        for column in ("category", "price"):
            if len(values.get(column, ())) > 1:
                raise SettingsError(f"--filter: {column} stands twice; give one")
        low, high = _price_range(values["price"][0]) if "price" in values else (-math.inf, math.inf)
        category = normalize_path(values["category"][0]) if "category" in values else ""
        return cls(category, tuple(values.get("brand", ())), tuple(values.get("mall", ())), low, high)


def _column_and_value(text: str) -> tuple[str, str]:
    column, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value.strip(".> "):
        raise SettingsError(f"--filter: expected COLUMN=VALUE, found {text!r}; write 'brand=Acme'")
    if column not in _COLUMNS:
        raise SettingsError(
            f"--filter: unknown column {column!r}; an index is filtered by {', '.join(_COLUMNS)}"
            f"{did_you_mean(column, _COLUMNS)}"
        )
    return column, value


def _price_range(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        bounds = float(low or -math.inf), float((high if dots else low) or math.inf)
    except ValueError:
        bounds = (math.nan, math.nan)
    if not bounds[0] <= bounds[1]:
        raise SettingsError(f"--filter: expected price=LOW..HIGH, price=LOW.. or price=..HIGH, found {text!r}")
    return bounds
