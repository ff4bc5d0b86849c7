"""A product for the index of a search."""

from dataclasses import dataclass

from aisle_client.product import ProductLike


@dataclass(frozen=True, slots=True)
class Offer:
    """A product, and what the index keeps of it beside its vectors, name and brand.

    Args:
        product: what its vectors are made from; an index needs its product_id.
        category: levels joined by '>'.
        mall: that offers it.
        price: in the shop's currency; None where it is unknown.
        group_id: products with the same value are the same product; '' is unknown.
        item_id: entries with the same value are pictures of one item; '' is an item of its own.
        image: path or URL of its picture, for reports; the picture itself is the product's.
        model_number: the maker's own.
        source: whose list the offer is from, where two lists are compared.
    """

    product: ProductLike
    category: str = ""
    mall: str = ""
    price: float | None = None
    group_id: str = ""
    item_id: str = ""
    image: str = ""
    model_number: str = ""
    source: str = ""
