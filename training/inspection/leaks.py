"""Input columns that hold the label: a model learns to copy it, and knows nothing where the column is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catalog.labels.label_space import LabelSpace
from model.product import field_spec, has_text
from model.taxonomy import SEPARATOR, normalize_path
from tokenizer.normalize import normalize
from training.encoding.parsed_catalog import ParsedCatalog

#: Share of the rows with a text from which on it is the label, and not a word that the two have in common.
LEAK_SHARE = 0.98
#: Fewer rows may agree by chance.
_LEAST_ROWS = 5
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Leak:
    """One text field that holds the label.

    Args:
        column: its column of the catalog.
        is_leaf: whether it only equals the last of several levels, as the mall's own category may.
        share: of the rows that have the field, LEAK_SHARE to 1.
        text, label: of one such row.
    """

    column: str
    is_leaf: bool
    share: float
    text: str
    label: str

    def sentence(self) -> str:
        """The finding, without its file and a remedy."""
        what = "equals the last level of the label" if self.is_leaf else "holds the label itself"
        text = self.text if len(self.text) <= 100 else f"{self.text[:100]}..."
        return f"{self.column} {what} in {self.share:.1%} of the rows that have one, such as {text!r} of {self.label!r}"


def find_leaks(catalog: ParsedCatalog, labels: LabelSpace, fields: Sequence[str]) -> list[Leak]:
    """Look for the label in the text fields of all rows with one; ends early where none can hold it.

    A text holds the label where it has all words of its path in a row. Of a tree with one level these are few, and a
    name may well have them, so that a name has to equal the label; in a deeper tree it has to hold the path with its
    separators.

    Args:
        fields: of `model.product.FIELDS`, those that the model reads.
    """
    counts = [
        _FieldCount(name, catalog.statistics.field_counts[name])
        for name in fields
        if field_spec(name).kind == "text" and catalog.statistics.field_counts.get(name)
    ]
    words = [_Path(leaf, _words(leaf), _words(leaf.rpartition(SEPARATOR)[2])) for leaf in labels.taxonomy.leaves]
    for rows in catalog.rows():
        possible = [count for count in counts if count.is_possible]
        if not possible:
            break
        for row in rows:
            found = labels.class_of(row)
            if isinstance(found, int):
                for count in possible:
                    count.add(row.text(count.name), words[found])
    return [leak for count in counts for leak in count.leaks()]


def leak_refusal(path: Path, leaks: Sequence[Leak], fields: Sequence[str]) -> str:
    """The sentence with which training refuses leaks; '' where none has to be refused.

    Args:
        fields: see `find_leaks`.
    """
    refused = [leak for leak in leaks if not leak.is_leaf]
    if not refused:
        return ""
    others = [name for name in fields if field_spec(name).column not in {leak.column for leak in refused}]
    without = f"leave it out with --fields {' '.join(others)}" if others else "map another heading with --columns"
    return (
        f"{path}: {'; '.join(leak.sentence() for leak in refused)}: a model would copy it and know nothing where it is"
        f" missing; {without}, or allow it with --allow-leaks where products to come have it, too"
    )


@dataclass(frozen=True)
class _Path:
    """A category as it is looked for: its path, all its words, and those of its last level, a space on each side."""

    path: str
    words: str
    leaf: str


@dataclass
class _FieldCount:
    """Counts the rows whose text holds the label.

    Args:
        num_texts: good rows of the catalog that have the field.
    """

    name: str
    num_texts: int
    num_rows: int = 0
    num_missed: int = 0
    num_leaves: int = 0
    categories: set[str] = field(default_factory=set)
    example: tuple[str, str] = ("", "")

    @property
    def is_possible(self) -> bool:
        """False where so many texts lack the label that the others cannot make up for it."""
        return self.num_missed <= (1 - LEAK_SHARE) * self.num_texts

    def add(self, text: str, category: _Path) -> None:
        """Count one row."""
        if not has_text(text):
            return
        self.num_rows += 1
        words = _words(text)
        is_leaf = words == category.leaf
        is_whole = self._holds(text, words, category)
        self.num_leaves += not is_whole
        if not is_leaf and not is_whole:
            self.num_missed += 1
            return
        self.categories.add(category.path)
        self.example = self.example if self.example[0] else (text, category.path)

    def _holds(self, text: str, words: str, category: _Path) -> bool:
        if self.name != "name" or words == category.words:
            return category.words in words
        return SEPARATOR in category.path and category.path.casefold() in normalize_path(text).casefold()

    def leaks(self) -> Iterator[Leak]:
        """One leak or none."""
        found = self.num_rows - self.num_missed
        if self.num_rows >= _LEAST_ROWS and len(self.categories) > 1 and found >= LEAK_SHARE * self.num_rows:
            is_leaf = self.num_leaves > (1 - LEAK_SHARE) * self.num_rows
            yield Leak(field_spec(self.name).column, is_leaf, found / self.num_rows, *self.example)


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(normalize(text)))} "
