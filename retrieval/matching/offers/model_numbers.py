"""Model numbers in texts: 'WH-1000XM4' is one, '500ml' is a quantity, '2024' says too little."""

import re

from retrieval.matching.offers.quantities import is_quantity

_AROUND = "()[]{}<>\"',;:.!?#*|"
_PUNCTUATION = re.compile(r"[^0-9a-z]")
_LEAST_CHARS = 4
_LEAST_DIGITS = 5


def find_model_numbers(text: str) -> frozenset[str]:
    """Find the words that look like model numbers: letters with digits, or many digits; without their punctuation.

    Args:
        text: normalized by `tokenizer.normalize`.
    """
    words = (word.strip(_AROUND) for word in text.split())
    return frozenset(plain for word in words if not is_quantity(word) and _is_model_number(plain := plain_number(word)))


def plain_number(text: str) -> str:
    """A model number without punctuation and spaces: 'wh-1000 xm4' is 'wh1000xm4'."""
    return _PUNCTUATION.sub("", text)


def _is_model_number(plain: str) -> bool:
    num_digits = sum(character.isdigit() for character in plain)
    if num_digits == len(plain):
        return num_digits >= _LEAST_DIGITS
    return num_digits > 0 and len(plain) >= _LEAST_CHARS
