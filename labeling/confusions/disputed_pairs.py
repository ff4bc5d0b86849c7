"""Pairs of categories between which near-duplicates are disputed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True, eq=False)
class DisputedPairs:
    """Groups of near-duplicates with several labels.

    Args:
        groups_by_pair: (smaller class, larger class) to the number of groups that have products in both.
        groups_by_class: by class the groups of two products or more that have a product in it.
    """

    groups_by_pair: Counter[tuple[int, int]]
    groups_by_class: dict[int, set[int]]

    @classmethod
    def find(cls, groups: np.ndarray, classes: np.ndarray) -> DisputedPairs:
        """Compare the labels within groups.

        Args:
            groups: (N,) int.
            classes: (N,) int.
        """
        numbers, sizes = np.unique(groups, return_counts=True)
        rows = np.flatnonzero(np.isin(groups, numbers[sizes > 1]))
        by_group: defaultdict[int, set[int]] = defaultdict(set)
        by_class: defaultdict[int, set[int]] = defaultdict(set)
        for group, number in zip(groups[rows].tolist(), classes[rows].tolist(), strict=True):
            by_group[group].add(number)
            by_class[number].add(group)
        pairs = Counter(pair for members in by_group.values() for pair in combinations(sorted(members), 2))
        return cls(pairs, dict(by_class))

    def evidence(self, classes: Sequence[int]) -> dict[str, float]:
        """Groups that have a product in one of the classes, and those that have products in several."""
        counts = Counter(group for number in classes for group in self.groups_by_class.get(number, ()))
        return {
            "near_duplicate_groups": len(counts),
            "disputed_groups": sum(count > 1 for count in counts.values()),
        }
