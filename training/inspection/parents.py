"""Headings that hold the parents of a label of one level, whose namesakes would be merged without them."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from catalog.columns import format_columns
from catalog.labels.spellings import LabelSpellings
from catalog.read_options import ReadOptions
from model.taxonomy import SEPARATOR

#: Values of a heading, and pairs with a label, above which it holds no categories.
_MAX_PARENTS, _MAX_PAIRS = 2_000, 200_000
#: Least share of the rows that have a parent; of the labels, those that lie below one parent alone.
_LEAST_FILLED, _LEAST_SINGLE = 0.8, 0.6
#: Share of the labels that may lie below one and the same parent: a heading that is nearly constant is none.
_MOST_BELOW_ONE = 0.8
#: Rows of a label that a second parent has at least: in number, and in share.
_SECOND_ROWS, _SECOND_SHARE = 2, 0.1


@dataclass(frozen=True)
class Namesakes:
    """A heading whose values look like the parents of the labels, some of which stand under several.

    Args:
        heading: of the parents.
        num_parents: values of the heading.
        num_shared, num_labels: labels below two parents or more, and all.
        label, parents: an example, with its rows by parent.
    """

    heading: str
    num_parents: int
    num_shared: int
    num_labels: int
    label: str
    parents: dict[str, int]

    def sentence(self, label_heading: str) -> str:
        """The finding, and the flag that keeps the categories apart."""
        rows = " and ".join(f"{count:,} under {parent!r}" for parent, count in list(self.parents.items())[:2])
        return (
            f"{self.num_shared:,} of {self.num_labels:,} labels stand under several values of {self.heading!r} and are"
            f" merged, such as {self.label!r}, {rows}; if it holds their parents, write --columns"
            f" {shlex.quote(format_columns({'category': f'{self.heading}{SEPARATOR}{label_heading}'}))}"
        )


@dataclass
class _Candidate:
    """One heading: rows by label and value."""

    heading: str
    position: int
    num_rows: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)


class ParentCounter:
    """Counts, row by row, which values stand beside which label.

    Args:
        headings: of the file.
        label: position of the label among them.
        unused: positions of the headings that may hold parents.
        options: by which labels are read.
    """

    def __init__(self, headings: Sequence[str], label: int, unused: Sequence[int], options: ReadOptions):
        self._label = label
        self._num_rows = 0
        self._candidates = [_Candidate(headings[position], position) for position in unused]
        self._spellings = LabelSpellings(options)

    def add(self, row: Sequence[str]) -> None:
        """Count a row of texts, one a heading."""
        if not self._candidates or not (label := self._spellings.category(row[self._label])):
            return
        self._num_rows += 1
        for candidate in self._candidates:
            if parent := self._spellings.category(row[candidate.position]):
                candidate.num_rows += 1
                candidate.pairs[label, parent] += 1
        if not self._num_rows % 10_000:
            self._candidates = [one for one in self._candidates if len(one.pairs) <= _MAX_PAIRS]

    def found(self) -> Namesakes | None:
        """The heading that tells the most labels apart, of equals the finest; None where none does."""
        found = [one for candidate in self._candidates if (one := self._judged(candidate)) is not None]
        return max(found, key=lambda one: (one.num_shared, one.num_parents), default=None)

    def _judged(self, candidate: _Candidate) -> Namesakes | None:
        by_label: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (label, parent), count in candidate.pairs.most_common():
            by_label[label][parent] = count
        num_parents = len({parent for _, parent in candidate.pairs})
        if (
            not 1 < num_parents < min(len(by_label), _MAX_PARENTS)
            or candidate.num_rows < _LEAST_FILLED * self._num_rows
            or any(SEPARATOR in label for label in by_label)
        ):
            return None
        shared = {label: parents for label, parents in by_label.items() if _is_shared(parents)}
        below_one = Counter(next(iter(parents)) for parents in by_label.values()).most_common(1)[0][1]
        is_tree = len(by_label) - len(shared) >= _LEAST_SINGLE * len(by_label)
        if not shared or not is_tree or below_one > _MOST_BELOW_ONE * len(by_label):
            return None
        label = max(shared, key=lambda label: sorted(shared[label].values())[-2])
        return Namesakes(candidate.heading, num_parents, len(shared), len(by_label), label, shared[label])


def _is_shared(parents: dict[str, int]) -> bool:
    """True if a second parent has a real part of a label's rows."""
    counts = list(parents.values())  # the largest first
    return len(counts) > 1 and counts[1] >= max(_SECOND_ROWS, _SECOND_SHARE * sum(counts))
