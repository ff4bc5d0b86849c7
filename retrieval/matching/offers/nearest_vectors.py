"""For each offer those with the nearest vectors, by comparing with all."""

import numpy as np

_CHUNK_OFFERS = 1024


def nearest_by_vectors(vectors: np.ndarray, asked: np.ndarray, count: int) -> np.ndarray:
    """Find the nearest of some offers.

    Args:
        vectors: (N, D) float32 of unit length; rows of zeros where an offer has none, which are nobody's nearest.
        asked: (A,) positions of the offers.
    Returns:
        (A, up to count) int64 positions, in no order; -1 where there is none. No offer finds itself.
    """
    is_there = np.asarray(vectors.any(axis=1), bool)
    kept = min(count, len(vectors))
    found = np.full((len(asked), kept), -1, np.int64)
    for start in range(0, len(asked), _CHUNK_OFFERS):
        rows = asked[start : start + _CHUNK_OFFERS]
        cosines = np.where(is_there, vectors[rows] @ vectors.T, -np.inf)
        cosines[np.arange(len(rows)), rows] = -np.inf
        cosines[~is_there[rows]] = -np.inf
        near = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
        is_near = np.isfinite(np.take_along_axis(cosines, near, axis=1))
        found[start : start + len(rows)] = np.where(is_near, near, -1)
    return found
