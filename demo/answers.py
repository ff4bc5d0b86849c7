"""Answers to the test products with subsets of their fields, and their accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aisle_client.client import AisleClient
from aisle_client.prediction import Prediction
from client.catalog import CatalogItem
from demo.child import DemoError
from model.product import FIELD_SPECS, FIELDS, Product

#: Subsets of fields, from a single one to all.
COMBINATIONS: tuple[tuple[str, ...], ...] = (
    ("name",),
    ("mall_category",),
    ("image",),
    ("name", "mall_category"),
    ("name", "image"),
    FIELDS,
)


@dataclass(frozen=True)
class AnsweredProduct:
    """A product with the fields of the request, its true category and the answer."""

    product: Product
    truth: str
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """True when the most probable leaf is the true one."""
        return self.prediction.categories[0].category == self.truth

    @property
    def is_accepted_right(self) -> bool:
        """True when the accepted category is the true one or lies above it."""
        accepted = self.prediction.accepted
        return accepted is not None and f"{self.truth}>".startswith(f"{accepted.category}>")


def keep_fields(product: Product, fields: Sequence[str]) -> Product:
    """Return the product with only `fields`, a subset of model.product.FIELDS."""
    hidden = [spec for spec in FIELD_SPECS if spec.name not in fields]
    empty: dict[str, Any] = {spec.column: "" if spec.kind == "text" else None for spec in hidden}
    return replace(product, **empty)


def ask(client: AisleClient, items: Sequence[CatalogItem], fields: Sequence[str], top_k: int) -> list[AnsweredProduct]:
    """Classify products by these fields; products without any of them are skipped.

    Raises:
        CallError: the server rejected a request or cannot be reached.
        DemoError: a product got an error instead of an answer.
    """
    asked = [(keep_fields(item.product, fields), item.truth) for item in items]
    asked = [(product, truth) for product, truth in asked if not product.is_empty]
    results = client.classify([product for product, _ in asked], top_k=top_k)
    answered = []
    for (product, truth), result in zip(asked, results, strict=True):
        if not isinstance(result, Prediction):
            raise DemoError(f"expected an answer for {product.product_id}, found {result.code}: {result.message}")
        answered.append(AnsweredProduct(product, truth, result))
    return answered


def accuracy(answered: Sequence[AnsweredProduct]) -> float:
    """Return the share of right answers, 0 to 1."""
    return sum(each.is_right for each in answered) / len(answered)
