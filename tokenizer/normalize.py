"""Text normalisation: Unicode NFKC, lower case, single spaces, no control characters."""

import re
import unicodedata
from collections.abc import Sequence

_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")


def normalize(text: str) -> str:
    """Normalise one text; full-width forms become half-width, '１＋１　Ａ' becomes '1+1 a'."""
    folded = unicodedata.normalize("NFKC", text).lower()
    folded = unicodedata.normalize("NFKC", folded)  # 'J' with a caron is a single code point only in lower case
    return _SPACE_OR_CONTROL.sub(" ", folded).strip()


def normalize_all(texts: Sequence[str]) -> list[str]:
    """Normalise many texts, each independently."""
    return [normalize(text) for text in texts]
