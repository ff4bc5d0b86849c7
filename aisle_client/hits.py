"""A server's answer to one question of a search: the products that are like another."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hit:
    """A product that was found, and what the index keeps of it.

    Args:
        score: dot product of the unit vectors, -1 to 1; 1 is the same.
        category: levels joined by '>'.
        mall: that offers it.
        price: in the shop's currency; None where it is unknown.
        group_id: products with the same value are the same product; '' is unknown.
        item_id: entries with the same value are pictures of one item; '' is an item of its own.
        image: path or URL of its picture.
    """

    product_id: str
    score: float
    product_name: str
    category: str
    brand: str
    mall: str
    price: float | None
    group_id: str
    item_id: str
    image: str


@dataclass(frozen=True, slots=True)
class Hits:
    """The products that are like one.

    Args:
        product_id: of the product that was asked about; may be empty.
        hits: best first; several pictures of one item are one hit.
        space: the vectors that were compared, "image", "text" or "joint".
    """

    product_id: str
    hits: tuple[Hit, ...]
    space: str
