"""Accuracy by groups of products, such as malls, brands or months, and the group with the lowest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.taxonomy import Taxonomy
from training.metrics.confidence import ratio
from training.metrics.contract import INTERVAL_CONFIDENCE, share_interval

#: Groups of fewer different products are not judged.
LEAST_PRODUCTS = 10
_NUM_REPORTED = 10


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of N rows by one property.

    Args:
        names: of the groups.
        numbers: (N,) int, the group of each row; -1 for a row that is in none.
    """

    names: Sequence[str]
    numbers: np.ndarray

    @classmethod
    def of_values(cls, values: Sequence[str]) -> "Grouping":
        """Rows with equal values; those without one, '', are in no group."""
        numbers: dict[str, int] = {}
        found = [numbers.setdefault(value, len(numbers)) if value else -1 for value in values]
        return cls(list(numbers), np.array(found, np.int64))


def model_groupings(
    labels: np.ndarray, taxonomy: Taxonomy, presence: np.ndarray, field_names: Sequence[str]
) -> dict[str, Grouping]:
    """Group N rows by what a model knows of any catalog.

    Args:
        labels: (N,) integer classes.
        presence: (N, len(field_names)) flags, above 0 where the row has the field.
    Returns:
        category, the label's node at the first level of the tree that has more than one; fields, those that are given.
    """
    depth = next((depth for depth, nodes in enumerate(taxonomy.levels) if len(nodes) > 1), 0)
    codes, numbers = np.unique((presence > 0) @ (1 << np.arange(len(field_names))), return_inverse=True)
    names = [", ".join(name for i, name in enumerate(field_names) if code >> i & 1) or "none" for code in codes]
    return {
        "category": Grouping(taxonomy.levels[depth], taxonomy.leaf_to_node[depth][labels]),
        "fields": Grouping(names, numbers),
    }


def group_metrics(
    groupings: Mapping[str, Grouping], is_right: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Measure the accuracy of each group, and name the worst.

    The worst group is the one whose accuracy is surely the lowest: the upper end of its interval is. An interval holds
    for all groups of its grouping at once (Bonferroni), so that of many small groups none is named by chance.

    Args:
        groupings: of the same N rows, by name; one in which fewer than two groups occur says nothing and is left out.
        is_right: (N,) bool.
        weights: (N,) float, what a row counts in the intervals; near-duplicates share one; None is 1 for all.
    Returns:
        groups, a list with grouping, num_groups, num_judged (of LEAST_PRODUCTS or more) and worst, at most ten of these
        with group, count, accuracy, interval (two ends) and is_surely_worse (than all products); worst_group, the first
        of all with its grouping, None where no group is large enough.
    """
    weights = np.ones(len(is_right)) if weights is None else weights
    groups = [
        {"grouping": name, **_accuracies(grouping, is_right, weights)}
        for name, grouping in groupings.items()
        if len(np.unique(grouping.numbers[grouping.numbers >= 0])) > 1
    ]
    candidates = [{"grouping": entry["grouping"], **entry["worst"][0]} for entry in groups if entry["worst"]]
    worst = min(candidates, key=lambda group: (group["interval"][1], group["accuracy"]), default=None)
    return {"groups": groups, "worst_group": worst}


def _accuracies(grouping: Grouping, is_right: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    is_in = grouping.numbers >= 0
    numbers, size = grouping.numbers[is_in], len(grouping.names)
    counts = np.bincount(numbers, minlength=size)
    right = np.bincount(numbers, is_right[is_in], size)
    masses = np.bincount(numbers, weights[is_in], size)
    judged = np.flatnonzero(masses >= LEAST_PRODUCTS - 1e-6)  # weights are fractions
    confidence = 1 - (1 - INTERVAL_CONFIDENCE) / max(len(judged), 1)
    overall = ratio(int(is_right.sum()), len(is_right))
    found: list[dict[str, Any]] = []
    for number in judged.tolist():
        accuracy = right[number] / counts[number]
        low, high = share_interval(accuracy * masses[number], masses[number], confidence)
        found.append(
            {
                "group": grouping.names[number],
                "count": int(counts[number]),
                "accuracy": float(accuracy),
                "interval": [low, high],
                "is_surely_worse": overall is not None and high < overall,
            }
        )
    found.sort(key=lambda group: (group["interval"][1], group["accuracy"]))
    return {"num_groups": int((counts > 0).sum()), "num_judged": len(judged), "worst": found[:_NUM_REPORTED]}
