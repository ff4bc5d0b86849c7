"""The standard error of a mean whose rows come in groups."""

import numpy as np


def standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """The standard error of the mean of N values where those of a group say the same (Liang and Zeger 1986).

    Args:
        values: (N,) numbers or flags, one or more.
        groups: (N,) int; near-duplicates share one.
    """
    _, positions = np.unique(groups, return_inverse=True)
    sums = np.bincount(positions, np.asarray(values, np.float64) - np.mean(values))
    return float(np.sqrt((sums**2).sum()) / len(values))
