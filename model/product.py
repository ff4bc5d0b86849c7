"""The product record: what a catalog row and a `Classify` item have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Input fields in the order of the presence flags. Every one of them may be missing.
FIELDS = ("name", "mall_category", "brand", "maker", "image")
TEXT_FIELDS = ("name", "mall_category", "brand", "maker")
#: Fields that have a softmax head of their own; the last head that is trained with the network is "joint".
HEAD_FIELDS = ("name", "mall_category", "image")
HEADS = (*HEAD_FIELDS, "joint")
#: Heads that read all texts; see `model/network/linear_head.py` and `model/prediction/neighbors.py`.
TEXT_HEADS = ("linear", "neighbors")


def has_text(text: str) -> bool:
    """Whether a text says anything: at least one letter or digit."""
    return any(map(str.isalnum, text))


def head_rows(head: str, presence: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """Rows that have something for a head to read; the joint head answers for all.

    Args:
        presence: (N, len(fields)) flags, above 0 where a row has the field.
    Returns:
        (N,) bool.
    """
    if head == "joint":
        return np.ones(len(presence), bool)
    read = TEXT_FIELDS if head in TEXT_HEADS else (head,)
    positions = [position for position, field in enumerate(fields) if field in read]
    return np.asarray((presence[:, positions] > 0).any(axis=1))


@dataclass(frozen=True, slots=True)
class Product:
    """One product. An empty text or a picture of None is a missing field.

    Args:
        product_id: the shop's own key; the server allows it to be empty, a catalog does not.
        image: the encoded picture (JPEG, PNG, WebP, ...), not yet decoded.
        image_features: (F,) float32, the image encoder's output, instead of `image`.
    """

    product_id: str
    product_name: str = ""
    mall_category: str = ""
    brand: str = ""
    maker: str = ""
    image: bytes | None = None
    image_features: np.ndarray | None = None

    def text(self, field: str) -> str:
        """The text of one of TEXT_FIELDS."""
        return self.product_name if field == "name" else str(getattr(self, field))

    @property
    def has_image(self) -> bool:
        """Whether a picture came along, encoded or as features."""
        return self.image is not None or self.image_features is not None

    @property
    def is_empty(self) -> bool:
        """True when no field at all could carry evidence."""
        return not self.has_image and not any(has_text(self.text(field)) for field in TEXT_FIELDS)
