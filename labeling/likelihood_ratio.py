"""Evidence that two shares differ."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

#: From which two shares surely differ: the 0.999 quantile of chi-square with one degree of freedom.
LEAST_EVIDENCE = 10.8


def log_likelihood_ratio(
    counts: ArrayLike, totals: ArrayLike, other_counts: ArrayLike, other_totals: ArrayLike
) -> np.ndarray:
    """Twice the gain in log likelihood of two shares over one (Dunning 1993).

    It is chi-square distributed with one degree of freedom where the two are drawn alike.

    Args:
        counts, totals: of the one sample, of any shape.
        other_counts, other_totals: of the other; a total of 0 gains nothing.
    Returns:
        float64 of that shape.
    """
    counts, totals, other_counts, other_totals = map(np.asarray, (counts, totals, other_counts, other_totals))

    def likelihood(hits: np.ndarray, trials: np.ndarray, share: np.ndarray) -> np.ndarray:
        return np.asarray(xlogy(hits, share) + xlogy(trials - hits, 1 - share))

    joint = (counts + other_counts) / np.maximum(totals + other_totals, 1)
    own, other = counts / np.maximum(totals, 1), other_counts / np.maximum(other_totals, 1)
    return 2 * (
        likelihood(counts, totals, own)
        + likelihood(other_counts, other_totals, other)
        - likelihood(counts, totals, joint)
        - likelihood(other_counts, other_totals, joint)
    )
