"""Conditions on the products that a search may find."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Conditions that every hit has to meet; an empty one is met by all.

    Args:
        category: a node of the category tree, levels joined by '>'; hits lie in its sub-tree.
        brands, malls: hits have one of these, letter for letter.
        min_price, max_price: inclusive, None for no bound; a product without a price meets neither.
    """

    category: str = ""
    brands: tuple[str, ...] = ()
    malls: tuple[str, ...] = ()
    min_price: float | None = None
    max_price: float | None = None
