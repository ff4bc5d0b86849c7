"""Conditions on the products that a search may find, and how people write them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catalog.columns import did_you_mean
from model.errors import SettingsError
from model.taxonomy import SEPARATOR, normalize_path
from retrieval.index.record import Attributes

_COLUMNS = ("category", "brand", "mall", "price")


@dataclass(frozen=True)
class ProductFilter:
    """Products that meet every condition; an empty one is met by all.

    Args:
        category: a node of the tree, normalized; products in its sub-tree meet it.
        brands, malls: products with any of these, letter for letter.
        min_price, max_price: inclusive; a product without a price meets neither.
    """

    category: str = ""
    brands: tuple[str, ...] = ()
    malls: tuple[str, ...] = ()
    min_price: float = -math.inf
    max_price: float = math.inf

    @property
    def is_empty(self) -> bool:
        """True when every product meets it."""
        return self == ProductFilter()

    @property
    def has_price(self) -> bool:
        """True when the price has to be known."""
        return self.min_price > -math.inf or self.max_price < math.inf

    def matches(self, attributes: Attributes) -> bool:
        """True when a product with these attributes meets it."""
        return (
            in_sub_tree(attributes.category, self.category)
            and (not self.brands or attributes.brand in self.brands)
            and (not self.malls or attributes.mall in self.malls)
            and (not self.has_price or self.min_price <= attributes.price <= self.max_price)
        )


def in_sub_tree(category: str, node: str) -> bool:
    """True when a category is a node or lies below it; the node '' is the whole tree."""
    return not node or category == node or category.startswith(node + SEPARATOR)


def parse_filter(conditions: Sequence[str]) -> ProductFilter:
    """Read conditions such as 'category=Food>Fruit', 'brand=Acme', 'price=10..20', 'price=..20'.

    Several conditions on brand or mall are alternatives.

    Raises:
        SettingsError: no COLUMN=VALUE, an unknown column, one that stands twice, or no range.
    """
    values: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = (part.strip() for part in condition.partition("="))
        if not equals or not value:
            raise SettingsError(f"--filter: expected COLUMN=VALUE, found {condition!r}; write 'brand=Acme'")
        if column not in _COLUMNS:
            raise SettingsError(
                f"--filter: unknown column {column!r}; an index is filtered by {', '.join(_COLUMNS)}"
                f"{did_you_mean(column, _COLUMNS)}"
            )
        values.setdefault(column, []).append(value)
    for column in ("category", "price"):
        if len(values.get(column, ())) > 1:
            raise SettingsError(f"--filter: {column} stands twice; give one")
    low, high = _price_range(values["price"][0]) if "price" in values else (-math.inf, math.inf)
    category = normalize_path(values["category"][0]) if "category" in values else ""
    return ProductFilter(category, tuple(values.get("brand", ())), tuple(values.get("mall", ())), low, high)


def _price_range(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        bounds = float(low or -math.inf), float((high if dots else low) or math.inf)
    except ValueError:
        bounds = (math.nan, math.nan)
    if not bounds[0] <= bounds[1]:
        raise SettingsError(f"--filter: expected price=LOW..HIGH, price=LOW.. or price=..HIGH, found {text!r}")
    return bounds
