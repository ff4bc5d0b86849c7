"""Fields of a product, in one list that everything follows, and the product record itself."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class FieldSpec:
    """One input field; any product may lack it.

    To add a text field, add its entry to FIELD_SPECS, its attribute to `Product`, its field to the contract in `proto/`
    and its name to `aisle_client/product.py`: tokenizer, network, linear SVM, catalog, command lines and reports
    follow.

    Args:
        name: in settings, arrays, heads and reports.
        column: in a catalog, in the contract and as an attribute of `Product`.
        kind: "text" or "image".
        words: for people: "a name".
        has_head: whether it has a softmax head of its own.
        num_tokens: tokens that the CNN reads of it by default; 0 for a field that is not read token by token.
        num_ngrams: hashed n-grams kept of it by default.
        max_chars: characters that the model reads of it; 0 reads all.
        has_characters: whether its n-grams of characters count beside those of words; in long texts they say little.
        max_word_order: words in its longest n-grams of words; 0 is as the tokenizer's settings say.
        ngrams_as: field whose hashed n-grams it shares, so that a word counts the same in both; '' is none.
        dropout_rate: of its branch by default, 0 to 1; of a field with a head.
        linear_weight: weight of its n-grams in the linear SVM by default, beside a name.
    """

    name: str
    column: str
    kind: Literal["text", "image"]
    words: str
    has_head: bool = False
    num_tokens: int = 0
    num_ngrams: int = 0
    max_chars: int = 0
    has_characters: bool = True
    max_word_order: int = 0
    ngrams_as: str = ""
    dropout_rate: float = 0.0
    linear_weight: float = 1.0


#: In the order of the presence flags; the position of a text field is the salt of its hashed n-grams, or of the field
#: that it shares them with.
FIELD_SPECS: tuple[FieldSpec, ...] = (
    FieldSpec(
        "name", "product_name", "text", "a name", has_head=True, num_tokens=30, num_ngrams=128, dropout_rate=0.4
    ),
    FieldSpec(
        "mall_category", "mall_category", "text", "a mall category", has_head=True, num_tokens=15, num_ngrams=64,
        dropout_rate=0.4, linear_weight=0.5,
    ),
    FieldSpec("brand", "brand", "text", "a brand", num_ngrams=16),
    FieldSpec("maker", "maker", "text", "a maker", num_ngrams=16),
    FieldSpec(
        "description", "description", "text", "a description", num_ngrams=128, max_chars=2_000, has_characters=False,
        max_word_order=1, ngrams_as="name", linear_weight=1.0,
    ),
    FieldSpec("image", "image", "image", "a picture", has_head=True, dropout_rate=0.3),
)  # fmt: skip

FIELDS = tuple(spec.name for spec in FIELD_SPECS)
TEXT_FIELDS = tuple(spec.name for spec in FIELD_SPECS if spec.kind == "text")
#: Columns of the text fields, in their order.
TEXT_COLUMNS = tuple(spec.column for spec in FIELD_SPECS if spec.kind == "text")
#: Fields that have a softmax head of their own; the last head that is trained with the network is "joint".
HEAD_FIELDS = tuple(spec.name for spec in FIELD_SPECS if spec.has_head)
HEADS = (*HEAD_FIELDS, "joint")
#: Heads that read all texts; see `model/network/linear_head.py` and `model/prediction/neighbors.py`.
TEXT_HEADS = ("linear", "neighbors")

_SPECS = {spec.name: spec for spec in FIELD_SPECS}


def field_spec(field: str) -> FieldSpec:
    """The entry of one of FIELDS."""
    return _SPECS[field]


def field_words(fields: Sequence[str], joined_by: str = "or") -> str:
    """Fields for people: 'a name, a brand or a picture'."""
    words = [field_spec(field).words for field in fields]
    return f"{', '.join(words[:-1])} {joined_by} {words[-1]}" if words[1:] else words[0]


def has_text(text: str) -> bool:
    """True if a text says anything: has at least one letter or digit."""
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
        image: the encoded picture (JPEG, PNG, WebP, HEIC, ...), not yet decoded.
        image_features: (F,) float32, the image encoder's output, instead of `image`.
    """

    product_id: str
    product_name: str = ""
    mall_category: str = ""
    brand: str = ""
    maker: str = ""
    description: str = ""
    image: bytes | None = None
    image_features: np.ndarray | None = None

    @classmethod
    def of_texts(cls, product_id: str, texts: Iterable[str], image: bytes | None = None) -> "Product":
        """A product from texts in the order of TEXT_FIELDS."""
        values: dict[str, Any] = dict(zip(TEXT_COLUMNS, texts, strict=True))
        return cls(product_id, **values, image=image)

    def text(self, field: str) -> str:
        """The text of one of TEXT_FIELDS."""
        return str(getattr(self, _SPECS[field].column))

    @property
    def has_image(self) -> bool:
        """True if a picture came along, encoded or as features."""
        return self.image is not None or self.image_features is not None

    @property
    def is_empty(self) -> bool:
        """True when no field at all could carry evidence."""
        return not self.has_image and not any(has_text(getattr(self, column)) for column in TEXT_COLUMNS)


if (_found := [entry.name for entry in dataclasses.fields(Product)]) != (
    _expected := ["product_id", *(spec.column for spec in FIELD_SPECS), "image_features"]
):
    raise TypeError(f"expected Product to have the attributes {_expected}, found {_found}")
