"""What the texts of an offer say, cut into what offers of the same product share."""

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from retrieval.index.record import Attributes
from retrieval.matching.offers.model_numbers import find_model_numbers, plain_number
from retrieval.matching.offers.quantities import find_quantities, without_quantities
from tokenizer.normalize import normalize

_PIECE = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")
_TOKEN = re.compile(r"[^\W_]+(?:[.,\-/+][^\W_]+)*")
_NOT_WORD = re.compile(r"[^\w]+")
_GRAM_CHARS = 3


@dataclass(frozen=True, slots=True)
class OfferText:
    """The normalized texts of an offer.

    Args:
        name, category, description: as the shop writes them; the category is the mall's own.
        brand: the brand, else the maker.
        model_number: of its own field, without punctuation.
        title: brand, name and model number, each once.
        model_numbers: those found in the title.
        joined: title and description without spaces and punctuation, to look for model numbers in.
    """

    name: str
    brand: str
    category: str
    description: str
    model_number: str
    title: str
    model_numbers: frozenset[str]
    joined: str

    @classmethod
    def of(cls, attributes: Attributes) -> "OfferText":
        """Read the texts of an offer."""
        name = normalize(attributes.product_name)
        brand = normalize(attributes.brand or attributes.maker)
        model_number = plain_number(normalize(attributes.model_number))
        description = normalize(attributes.description)
        title = " ".join([*_missing(brand, name), name, *_missing(model_number, name)])
        return cls(
            name=name,
            brand=brand,
            category=normalize(attributes.mall_category),
            description=description,
            model_number=model_number,
            title=title,
            model_numbers=find_model_numbers(title) | set(filter(None, [model_number])),
            joined=_NOT_WORD.sub("", f"{title} {description}"),
        )


def words(text: str) -> Iterable[str]:
    """Words with letters apart from digits: 'a4' is 'a' and '4'."""
    found: list[str] = _PIECE.findall(text)
    return found


def terms(text: str) -> Iterable[Hashable]:
    """Words, with a quantity as one, whatever its unit: '0.5 l' is the term that '500 ml' is."""
    return [*find_quantities(text), *words(without_quantities(text))]


def tokens(text: str) -> Iterable[str]:
    """Words as they are written: 'wh-1000xm4'."""
    found: list[str] = _TOKEN.findall(text)
    return found


def grams(text: str) -> Iterable[str]:
    """Every three letters in a row."""
    spaced = f" {_NOT_WORD.sub(' ', text)} "
    return (spaced[i : i + _GRAM_CHARS] for i in range(len(spaced) - _GRAM_CHARS + 1))


def _missing(text: str, name: str) -> list[str]:
    return [text] if text and text not in name else []
