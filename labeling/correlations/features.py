"""Features whose correlations fail: words, or words that always come together, and values of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from labeling.correlations.word_matrix import VALUE_COLUMNS, WordMatrix

#: Words that share this part of their rows are one feature: taken out alone, the others would still say it.
_LEAST_OVERLAP = 0.8


@dataclass(frozen=True)
class Feature:
    """Words of one field, of which a row has it with any.

    Args:
        words: in the order in which they first occur.
    """

    field: str
    words: tuple[str, ...]

    @property
    def is_read(self) -> bool:
        """True if models read it."""
        return self.field not in VALUE_COLUMNS


def joined_features(matrix: WordMatrix, chosen: np.ndarray) -> tuple[list[Feature], sparse.csr_matrix]:
    """Join words that come together.

    Args:
        chosen: (C,) int, columns of `matrix`.
    Returns:
        F features, and (M, F) int32 whether a row has each.
    """
    chosen = np.sort(chosen)
    has = matrix.has[:, chosen]
    counts = np.asarray(has.sum(axis=0))[0]
    together = (has.T @ has).toarray()
    overlaps = together / np.maximum(counts[:, None] + counts[None, :] - together, 1)
    fields = np.array([matrix.fields[i] for i in chosen])
    is_same = (overlaps >= _LEAST_OVERLAP) & (fields[:, None] == fields[None, :])
    num_features, feature_of_word = connected_components(sparse.csr_matrix(is_same), directed=False)
    features = []
    for number in range(num_features):
        members = np.flatnonzero(feature_of_word == number)
        features.append(Feature(str(fields[members[0]]), tuple(matrix.words[chosen[i]] for i in members)))
    joins = sparse.csr_matrix((np.ones(len(chosen), np.int32), (np.arange(len(chosen)), feature_of_word)))
    joined = (has @ joins).tocsr()
    joined.data = np.minimum(joined.data, 1)
    return features, joined
