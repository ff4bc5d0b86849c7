"""Records of an index, and the hits that a search gives back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Space = Literal["image", "text", "joint"]
#: The vectors that a product may have: of its picture, of its texts, of both together.
SPACES: tuple[Space, ...] = ("image", "text", "joint")
#: Those that a matcher compares.
MATCHED_SPACES: tuple[Space, ...] = ("image", "text")
_DESCRIPTION_CHARS = 500


@dataclass(frozen=True, slots=True)
class Attributes:
    """Texts and price of a product that are shown, filtered by and compared with others'; '' is unknown.

    Args:
        category: path from the top, levels joined by '>'.
        price: in the shop's currency; NaN is unknown.
        group_id: products with the same value are the same product.
        item_id: entries with the same value are pictures of one item, and count as one hit.
        image: path or URL of the picture, for reports.
        description: its beginning, see `kept_description`.
        source: whose list the offer is from, where two lists are compared.
    """

    product_name: str = ""
    category: str = ""
    brand: str = ""
    mall: str = ""
    price: float = math.nan
    group_id: str = ""
    item_id: str = ""
    image: str = ""
    maker: str = ""
    mall_category: str = ""
    description: str = ""
    model_number: str = ""
    source: str = ""


def kept_description(text: str) -> str:
    """The beginning of a description that an index keeps: enough to compare offers, little beside a vector."""
    return text[:_DESCRIPTION_CHARS]


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """One product of an index.

    Args:
        vectors: by space, (D,) float32 of unit length; a space in which the product has none is left out.
    """

    product_id: str
    attributes: Attributes
    vectors: Mapping[Space, np.ndarray]


@dataclass(frozen=True, slots=True)
class Hit:
    """A product that was found.

    Args:
        score: dot product of the unit vectors, -1 to 1; 1 is the same.
    """

    product_id: str
    score: float
    attributes: Attributes
