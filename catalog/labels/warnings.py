"""Labels that a shop may not have meant as they stand: almost equal ones, and paths in one piece."""

import re
import unicodedata
from collections.abc import Collection, Iterator

from model.taxonomy import SEPARATOR

#: What stands for no label where a program wrote the file.
NULL_LABELS = frozenset({"nan", "null", "none", "n/a", "#n/a", "<na>", "nat"})
#: What separates levels elsewhere.
_OTHER_SEPARATORS = re.compile(r"\s*(--|>>|::|[/|\\＞›»→])\s*")
_MANY_SHARE = 0.5


def label_warnings(labels: Collection[str]) -> Iterator[str]:
    """Sentences on labels that are probably written wrong, each with an example.

    Args:
        labels: distinct normalized paths.
    """
    by_letters: dict[str, list[str]] = {}
    for label in labels:
        by_letters.setdefault(_letters(label), []).append(label)
    alike = [sorted(group) for letters, group in by_letters.items() if letters and len(group) > 1]
    if alike:
        first, second, *_ = alike[0]
        yield (
            f"{sum(map(len, alike)):,} labels are almost equal to another one, such as {first!r} and {second!r}, and"
            " stay different categories; write each in one way"
        )
    pieces = [label for label in labels if SEPARATOR not in label and _OTHER_SEPARATORS.search(label)]
    if pieces and len(pieces) >= _MANY_SHARE * sum(SEPARATOR not in label for label in labels):
        found = _OTHER_SEPARATORS.search(pieces[0])
        assert found is not None
        yield (
            f"{len(pieces):,} labels have one level and hold {found[1]!r}, such as {pieces[0]!r}; if it separates"
            f" levels, name it with --separator"
        )


def _letters(label: str) -> str:
    """Letters and digits alone, without case and width."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", label).casefold()))
