"""Paired comparison of two sets of answers to the same products: difference, significance, and categories."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.taxonomy import Taxonomy

NUM_RESAMPLES = 10_000
NUM_CHANGES = 10
#: Confidence level of the two-sided bootstrap interval.
INTERVAL_LEVEL = 0.95


@dataclass(frozen=True)
class CategoryChange:
    """A leaf for which one set of answers finds more products than the other.

    Args:
        num_right, num_right_other: products answered right by this and by the other set.
        support: number of products with this label.
    """

    category: str
    num_right: int
    num_right_other: int
    support: int


def compare(is_right: np.ndarray, is_right_other: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """Compare the answers to N rows, pair by pair.

    Args:
        is_right, is_right_other: (N,) bool, True where this and the other answer is the label.
        labels: (N,) integer classes.
    Returns:
        count, accuracy, accuracy_other, difference (this minus the other); difference_low and difference_high,
        the bounds of a 95 % interval; num_only_this_right, num_only_other_right; p_value, the probability of counts as
        unequal as these two if both answers were equally good (McNemar); num_categories_won, num_categories_lost and
        categories_won, categories_lost, the ten with the most products each.
    Raises:
        ValueError: the three differ in length, or there is no row.
    """
    if not len(is_right) == len(is_right_other) == len(labels) or not len(labels):
        lengths = len(is_right), len(is_right_other), len(labels)
        raise ValueError(f"expected two answers for each of one or more labels, found {lengths}")
    num_won = int((is_right & ~is_right_other).sum())
    num_lost = int((~is_right & is_right_other).sum())
    low, high = difference_interval(num_won, num_lost, len(labels))
    won, lost = category_changes(is_right, is_right_other, labels, taxonomy)
    return {
        "count": len(labels),
        "accuracy": float(is_right.mean()),
        "accuracy_other": float(is_right_other.mean()),
        "difference": (num_won - num_lost) / len(labels),
        "difference_low": low,
        "difference_high": high,
        "num_only_this_right": num_won,
        "num_only_other_right": num_lost,
        "p_value": mcnemar_p_value(num_won, num_lost),
        "num_categories_won": len(won),
        "num_categories_lost": len(lost),
        "categories_won": [asdict(change) for change in won[:NUM_CHANGES]],
        "categories_lost": [asdict(change) for change in lost[:NUM_CHANGES]],
    }


def difference_interval(num_won: int, num_lost: int, count: int, seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % percentile interval of a difference of accuracies by paired bootstrap (Efron 1979).

    A row won counts 1, a row lost -1, every other 0, and the mean depends only on their numbers; so a resample is one
    multinomial draw of three numbers, and no (resamples, rows) array is needed.

    Args:
        num_won, num_lost: number of rows that only this and only the other answer has right.
        count: number of all rows, 1 or more.
    """
    shares = np.array([num_won, num_lost, count - num_won - num_lost]) / count
    draws = np.random.default_rng(seed).multinomial(count, shares, NUM_RESAMPLES)
    tail = (1 - INTERVAL_LEVEL) / 2
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, [tail, 1 - tail])
    return float(low), float(high)


def mcnemar_p_value(num_won: int, num_lost: int) -> float:
    """Compute the exact two-sided McNemar test (McNemar 1947) that both are equally good; 1 if they never differ."""
    from scipy.stats import binomtest

    return float(binomtest(num_won, num_won + num_lost).pvalue) if num_won + num_lost else 1.0


def category_changes(
    is_right: np.ndarray, is_right_other: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy
) -> tuple[list[CategoryChange], list[CategoryChange]]:
    """List the categories won and lost, those with the most products first; ties in class order."""
    support = np.bincount(labels, minlength=taxonomy.num_leaves)
    right = np.bincount(labels, weights=is_right, minlength=taxonomy.num_leaves).astype(int)
    other = np.bincount(labels, weights=is_right_other, minlength=taxonomy.num_leaves).astype(int)

    def changes(gains: np.ndarray) -> list[CategoryChange]:
        order = np.argsort(-gains, kind="stable")
        return [
            CategoryChange(taxonomy.leaves[leaf], int(right[leaf]), int(other[leaf]), int(support[leaf]))
            for leaf in order[gains[order] > 0]
        ]

    return changes(right - other), changes(other - right)


def is_significant(comparison: Mapping[str, Any]) -> bool:
    """Return True when two sets of answers differ significantly, at the 5 % level."""
    return bool(comparison["p_value"] < 1 - INTERVAL_LEVEL)
