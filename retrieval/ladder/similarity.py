"""Cosines between offers by one kind of vectors, and the pairs that are nearest."""

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sparse_dot_topn import sp_matmul_topn

from model.machine.cores import usable_cores
from retrieval.matching.offers.nearest_vectors import nearest_by_vectors
from retrieval.matching.offers.offer_text import grams, words
from retrieval.matching.offers.word_matrix import WordMatrix
from tokenizer.normalize import normalize

#: Words that more offers have say little, and would make the search grow with the square of the catalog.
_MOST_OFFERS_OF_A_WORD = 2000
_CHUNK_PAIRS = 65_536


class Similarity:
    """Cosines between the offers of a pool.

    Args:
        rows: (N, D) float32 of unit length, sparse or not; an offer without a vector has a row of zeros.
    """

    def __init__(self, rows: np.ndarray | csr_matrix):
        self._rows = rows
        is_there = rows.any(axis=1) if isinstance(rows, np.ndarray) else np.diff(rows.indptr) > 0
        self.is_there = np.asarray(is_there, bool)

    def cosines(self, pairs: np.ndarray) -> np.ndarray:
        """(P,) float32 of pairs (P, 2); NaN where one of the two has no vector."""
        found = np.full(len(pairs), np.nan, np.float32)
        for start in range(0, len(pairs), _CHUNK_PAIRS):
            left, right = pairs[start : start + _CHUNK_PAIRS].T
            if isinstance(self._rows, np.ndarray):
                cosines = np.einsum("pd,pd->p", self._rows[left], self._rows[right])
            else:
                cosines = self._rows[left].multiply(self._rows[right]).sum(axis=1).A1
            found[start : start + len(left)] = np.where(self.is_there[left] & self.is_there[right], cosines, np.nan)
        return found

    def nearest_pairs(self, count: int) -> np.ndarray:
        """(P, 2) int64, each offer with its nearest; each pair once, the smaller position first."""
        rows = self._rows
        near = _nearest_of_dense(rows, count) if isinstance(rows, np.ndarray) else _nearest_of_sparse(rows, count)
        return np.unique(np.sort(near, axis=1), axis=0)


def _nearest_of_dense(rows: np.ndarray, count: int) -> np.ndarray:
    asked = np.arange(len(rows))
    near = nearest_by_vectors(rows, asked, count)
    pairs = np.column_stack([np.repeat(asked, near.shape[1]), near.ravel()])
    return pairs[pairs[:, 1] >= 0]


def _nearest_of_sparse(rows: csr_matrix, count: int) -> np.ndarray:
    top = sp_matmul_topn(rows, csr_matrix(rows.T), count + 1, sort=True, n_threads=usable_cores())
    pairs = np.column_stack([np.repeat(np.arange(len(top.indptr) - 1), np.diff(top.indptr)), top.indices])
    return pairs[pairs[:, 0] != pairs[:, 1]].astype(np.int64)


def name_similarity(names: list[str]) -> Similarity:
    """TF-IDF of words and of every three letters in a row, half each, by how rare they are among these names."""
    read = [normalize(name) for name in names]
    parts = [WordMatrix(cut(name) for name in read).unit_rows(_MOST_OFFERS_OF_A_WORD) for cut in (words, grams)]
    return Similarity(csr_matrix(hstack(parts) * np.float32(0.5**0.5)))
