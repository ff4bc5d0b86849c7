"""Conditions on the products that a search may find."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catalog.offer_conditions import OfferConditions
from model.taxonomy import SEPARATOR
from retrieval.index.record import Attributes


@dataclass(frozen=True)
class ProductFilter(OfferConditions):
    """Products of an index that meet every condition; an empty one is met by all."""

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
    """Read conditions as people write them; see `OfferConditions.parse`."""
    return ProductFilter.parse(conditions)
