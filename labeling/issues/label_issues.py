"""The rows of a catalog in the order in which their labels want a look, and what speaks against each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.top_answers import TopAnswers
from labeling.issues.confident_learning import ConfidentJoint, confident_joint
from model.taxonomy import SEPARATOR

_NOT_JUDGED = "not judged: no other product of this category to learn from; add some"


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """The findings in N rows.

    Args:
        order: (N,) rows, the most suspicious first; those that could not be judged last.
        qualities: (N,) float32, the probability of the given label (self-confidence); 1 where it could not be judged.
        suggested: (N,) int64, the most probable other class.
        majorities: by group of near-duplicates with different labels its most frequent class, -1 where two are.
    """

    catalog: LabelledCatalog
    answers: TopAnswers
    joint: ConfidentJoint
    order: np.ndarray
    qualities: np.ndarray
    suggested: np.ndarray
    majorities: dict[int, int]

    def level(self, row: int) -> int:
        """The first level at which the suggested category is another than the given one, from 1."""
        given, suggested = (self.levels_of(number) for number in (self.catalog.classes[row], self.suggested[row]))
        pairs = enumerate(zip(given, suggested, strict=False), start=1)
        return next((depth for depth, (one, other) in pairs if one != other), min(len(given), len(suggested)))

    def levels_of(self, number: int) -> list[str]:
        """The names of a class's levels."""
        return self.path(number).split(SEPARATOR)

    def path(self, number: int) -> str:
        """The path of a class."""
        return self.catalog.labels.taxonomy.leaves[number]

    def reason(self, row: int) -> str:
        """The reason to doubt the label of a row; '' without one."""
        if np.isnan(self.answers.given[row]):
            return _NOT_JUDGED
        reasons = []
        group = int(self.catalog.groups[row])
        if group in self.majorities and self.majorities[group] not in (-1, self.catalog.classes[row]):
            reasons.append(f"near-duplicates are in {self.path(self.majorities[group])}")
        probability = self._probability(row)
        if probability > self.qualities[row]:
            level, levels = self.level(row), self.levels_of(self.suggested[row])
            place = "another branch" if level == 1 and len(levels) > 1 else "another category"
            name = SEPARATOR.join(levels[:level])
            reasons.append(f"{place}: {name} is more probable ({probability:.0%} to {self.qualities[row]:.0%})")
        return "; ".join(reasons)

    def _probability(self, row: int) -> float:
        """Of the suggested class."""
        found = np.flatnonzero(self.answers.classes[row] == self.suggested[row])
        return float(self.answers.probabilities[row, found[0]]) if len(found) else 0.0


def find_issues(catalog: LabelledCatalog, answers: TopAnswers) -> LabelIssues:
    """Rank the rows by the probability of their given label.

    Args:
        answers: out of fold.
    """
    classes = catalog.classes.astype(np.int64)
    joint = confident_joint(answers, classes, catalog.labels.taxonomy.num_leaves)
    qualities = np.where(np.isnan(answers.given), 1.0, answers.given).astype(np.float32)
    order = np.lexsort((qualities, np.isnan(answers.given)))
    return LabelIssues(
        catalog, answers, joint, order, qualities, answers.suggested(classes), disputed_groups(catalog.groups, classes)
    )


def disputed_groups(groups: np.ndarray, classes: np.ndarray) -> dict[int, int]:
    """Groups of near-duplicates with different classes, each with its most frequent class; -1 where two are equal."""
    keys = groups.astype(np.int64) * (int(classes.max(initial=0)) + 1) + classes
    kinds = np.unique(keys) // (int(classes.max(initial=0)) + 1)
    numbers, counts = np.unique(kinds, return_counts=True)
    disputed = numbers[counts > 1]
    rows = np.flatnonzero(np.isin(groups, disputed))
    by_group: dict[int, Counter[int]] = {}
    for group, number in zip(groups[rows].tolist(), classes[rows].tolist(), strict=True):
        by_group.setdefault(group, Counter())[number] += 1
    return {group: _majority(counter) for group, counter in by_group.items()}


def _majority(counter: Counter[int]) -> int:
    first, second = counter.most_common(2)
    return -1 if first[1] == second[1] else first[0]
