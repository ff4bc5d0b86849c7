"""The held-back products, asked with some of their fields, and how many answers were right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from client.catalog import CatalogItem
from client.client import AisleClient
from demo.child import DemoError
from model.prediction.answers import Prediction
from model.product import FIELD_SPECS, FIELDS, Product

#: Fields to ask with, from one alone to everything a product has.
COMBINATIONS: tuple[tuple[str, ...], ...] = (
    ("name",),
    ("mall_category",),
    ("image",),
    ("name", "mall_category"),
    ("name", "image"),
    FIELDS,
)


@dataclass(frozen=True)
class Answered:
    """A product as it was asked, its true category and the answer."""

    product: Product
    truth: str
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """Whether the most probable leaf is the true one."""
        return self.prediction.categories[0].category == self.truth


def keep_fields(product: Product, fields: Sequence[str]) -> Product:
    """The product with every field left out that is not in `fields`, a subset of model.product.FIELDS."""
    hidden = [spec for spec in FIELD_SPECS if spec.name not in fields]
    empty: dict[str, Any] = {spec.column: "" if spec.kind == "text" else None for spec in hidden}
    return replace(product, **empty)


def ask(client: AisleClient, items: Sequence[CatalogItem], fields: Sequence[str], top_k: int) -> list[Answered]:
    """Classify what the products say in these fields; a product with none of them is left out.

    Raises:
        CallError: the server refused or cannot be reached.
        DemoError: a product got an error instead of an answer.
    """
    asked = [(keep_fields(item.product, fields), item.truth) for item in items]
    asked = [(product, truth) for product, truth in asked if not product.is_empty]
    results = client.classify([product for product, _ in asked], top_k=top_k)
    answered = []
    for (product, truth), result in zip(asked, results, strict=True):
        if not isinstance(result, Prediction):
            raise DemoError(f"expected an answer for {product.product_id}, found {result.code}: {result.message}")
        answered.append(Answered(product, truth, result))
    return answered


def accuracy(answered: Sequence[Answered]) -> float:
    """Share of right answers, 0 to 1."""
    return sum(each.is_right for each in answered) / len(answered)
