"""Score of grouped offers as in Shopee's price match: F1 of each offer, and their mean (Kaggle 2021)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_NUM_RESAMPLES = 1000
_INTERVAL = (0.025, 0.975)
#: Groups with as many offers or more are one line of the figures.
_LARGE = 5


@dataclass(frozen=True)
class GroupScore:
    """Score of the pairs that were called the same.

    Args:
        by_offer: (N,) float64, F1 of each offer.
        f1: their mean.
        interval: 95 % of the mean, by bootstrap over groups (Efron 1979).
        precision: share of the called pairs that are the same; 1 where none was called.
        recall: share of the same pairs that were called; 1 where there is none.
        by_group_size: mean F1 of the offers in groups of a size; the largest key stands for it and all above.
    """

    by_offer: np.ndarray
    f1: float
    interval: tuple[float, float]
    precision: float
    recall: float
    by_group_size: dict[int, float]

    @property
    def figures(self) -> dict[str, Any]:
        """The score for programs."""
        low, high = self.interval
        sizes = {f"{size}{'+' if size == _LARGE else ''}": value for size, value in self.by_group_size.items()}
        return {
            "f1": self.f1, "f1_low": low, "f1_high": high, "precision": self.precision, "recall": self.recall,
            "f1_by_group_size": sizes,
        }  # fmt: skip


def group_f1(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """F1 of each offer: those called the same as it against those of its group, itself in both.

    Args:
        groups: (N,) int64, numbers of the groups, 0 or more.
        pairs: (P, 2) int64, positions that are called the same; each pair once, none with itself.
    Returns:
        (N,) float64, above 0 to 1.
    """
    sizes = np.bincount(groups)[groups]
    is_same = groups[pairs[:, 0]] == groups[pairs[:, 1]]
    called = 1 + np.bincount(pairs.ravel(), minlength=len(groups))
    right = 1 + np.bincount(pairs[is_same].ravel(), minlength=len(groups))
    return 2 * right / (called + sizes)


def score_groups(groups: np.ndarray, pairs: np.ndarray) -> GroupScore:
    """Score the pairs that are called the same; see `group_f1`."""
    by_offer = group_f1(groups, pairs)
    counts = np.bincount(groups)
    num_same = int((counts * (counts - 1) // 2).sum())
    num_right = int((groups[pairs[:, 0]] == groups[pairs[:, 1]]).sum())
    sizes = np.minimum(counts[groups], _LARGE)
    return GroupScore(
        by_offer,
        float(by_offer.mean()),
        _interval(groups, by_offer),
        num_right / len(pairs) if len(pairs) else 1.0,
        num_right / num_same if num_same else 1.0,
        {int(size): float(by_offer[sizes == size].mean()) for size in np.unique(sizes)},
    )


def _interval(groups: np.ndarray, by_offer: np.ndarray) -> tuple[float, float]:
    """Ends of the mean's interval; offers of a group depend on each other, so groups are drawn."""
    _, numbers = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(numbers, by_offer), np.bincount(numbers)
    random = np.random.default_rng(0)
    means = []
    for _ in range(_NUM_RESAMPLES):
        drawn = random.integers(0, len(counts), len(counts))
        means.append(sums[drawn].sum() / counts[drawn].sum())
    low, high = np.quantile(means, _INTERVAL)
    return float(low), float(high)
