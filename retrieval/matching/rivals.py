"""An offer is one product: where it is like two that differ, at most one of them is the same.

So the odds of a pair are divided among it and its rivals: the offers that one of the two is like as well, and that are
not the same as the other. A listing without a model number beside two models is then sure of neither, unless its price
or something else tells.
"""

import numpy as np
from scipy.sparse import csr_matrix

from retrieval.matching.grouping import LEAST_PROBABILITY, Probabilities

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
    total = 1 + odds
    for side in (0, 1):
        rows, rivals, rival_odds = _third_offers(pairs, odds, asked, side)
        others = pairs[rows, 1 - side]
        differ = compare(np.minimum(others, rivals), np.maximum(others, rivals)) < LEAST_PROBABILITY
        largest = np.zeros(len(pairs))
        np.maximum.at(largest, rows[differ], rival_odds[differ])
        total += largest
    return np.where(asked, odds / total, probabilities).astype(np.float32)


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
