"""An offer is one product: where it is like two that differ, at most one of them is the same.

So the odds of a pair are divided among it and its rivals: the offers that one of the two is like as well, and that are
not the same as the other. A listing without a model number beside two models is then sure of neither, unless its price
or something else tells. Two such listings may be of one model each: however alike they are, they are sure of each other
no more than either is of a model.
"""

import numpy as np
from scipy.sparse import csr_matrix

from retrieval.matching.grouping import Probabilities

#: Two offers are no rivals from this probability on that they are the same, and more so the less it is.
_MAY_BE_SAME = 0.5
_MOST = 1 - 1e-6


def divided_among_rivals(
    pairs: np.ndarray, probabilities: np.ndarray, asked: np.ndarray, compare: Probabilities
) -> np.ndarray:
    """Divide the odds of pairs among their rivals.

    Args:
        pairs: (P, 2) int64 positions of candidates, the smaller first, each once.
        probabilities: (P,) that they are the same.
        asked: (P,) bool, pairs whose probability is wanted.
        compare: asked for the pairs of rivals.
    Returns:
        (P,) float32, no larger than before.
    """
    odds = np.minimum(probabilities, _MOST).astype(np.float64)
    odds /= 1 - odds
    rivals = np.column_stack([_largest_rival(pairs, odds, asked, side, compare) for side in (0, 1)])
    divided = odds / (1 + odds + rivals.sum(axis=1))
    undecided = np.zeros(int(pairs.max(initial=0)) + 1)
    shares = np.minimum(odds[:, None], rivals) / (1 + odds[:, None] + rivals)
    np.maximum.at(undecided, pairs, shares)
    divided *= 1 - undecided[pairs].min(axis=1)
    return np.where(asked, divided, probabilities).astype(np.float32)


def _largest_rival(
    pairs: np.ndarray, odds: np.ndarray, asked: np.ndarray, side: int, compare: Probabilities
) -> np.ndarray:
    """(P,) float64, the odds of one side of each asked pair and the likeliest offer that the other side is not."""
    rows, rivals, rival_odds = _third_offers(pairs, odds, asked, side)
    others = pairs[rows, 1 - side]
    same = compare(np.minimum(others, rivals), np.maximum(others, rivals))
    largest = np.zeros(len(pairs))
    np.maximum.at(largest, rows, rival_odds * np.maximum(1 - same / _MAY_BE_SAME, 0))
    return largest


def _third_offers(
    pairs: np.ndarray, odds: np.ndarray, asked: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offers that one side of an asked pair may be the same as too.

    Returns:
        (T,) each: the pair's row, the third offer, and the odds of it and the pair's side.
    """
    size = int(pairs.max(initial=0)) + 1
    both = np.concatenate([pairs, pairs[:, ::-1]])
    links = csr_matrix((np.tile(odds, 2), both.T), (size, size))
    rows = np.flatnonzero(asked)
    of_side = links[pairs[rows, side]]
    of_rows = np.repeat(rows, np.diff(of_side.indptr))
    kept = of_side.indices != pairs[of_rows, 1 - side]
    return of_rows[kept], of_side.indices[kept].astype(np.int64), of_side.data[kept]
