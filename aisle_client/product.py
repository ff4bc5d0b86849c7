# ruff: noqa: D102  the attributes of ProductLike are those of Product
"""A product to ask about."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

#: The texts of a product, named as in the contract.
TEXTS = ("product_name", "mall_category", "brand", "maker", "description")


@dataclass(frozen=True, slots=True)
class Product:
    """One product. An empty text or a picture of None is a missing field.

    Args:
        product_id: the shop's own key, returned unchanged; may be empty.
        mall_category: the mall's own category; levels joined by '>'.
        image: the encoded picture: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC.
        image_features: what the model's own image encoder made of the picture, instead of `image`.
    """

    product_id: str
    product_name: str = ""
    mall_category: str = ""
    brand: str = ""
    maker: str = ""
    description: str = ""
    image: bytes | None = None
    image_features: Iterable[float] | None = None


class ProductLike(Protocol):
    """Anything with the attributes of a `Product`; a shop's own records need no conversion."""

    @property
    def product_id(self) -> str: ...

    @property
    def product_name(self) -> str: ...

    @property
    def mall_category(self) -> str: ...

    @property
    def brand(self) -> str: ...

    @property
    def maker(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def image(self) -> bytes | None: ...

    @property
    def image_features(self) -> Iterable[float] | None: ...
