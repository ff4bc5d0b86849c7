"""For each offer the offers of other sources whose titles share its rarest words and letters."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sparse_dot_topn import sp_matmul_topn

from model.machine.cores import usable_cores
from retrieval.matching.offers.word_matrix import WordMatrix

NUM_NEAREST = 20
#: Words that more offers have say little, and would make the search grow with the square of the catalog.
_MOST_OFFERS_OF_A_WORD = 2000


class NearestTitles:
    """Cosines between the titles of a catalog's offers and the nearest of each.

    Candidates are the offers of other sources, where the offers have different ones, else all others.

    Args:
        words, grams: of the titles; both count the same.
        sources: of the offers; '' is a source like any other.
        num_listed: offers that are candidates, the first ones.
    """

    def __init__(self, words: WordMatrix, grams: WordMatrix, sources: Sequence[str], num_listed: int):
        halves = [matrix.unit_rows(_MOST_OFFERS_OF_A_WORD) * np.float32(0.5**0.5) for matrix in (words, grams)]
        self._rows = csr_matrix(hstack(halves))
        names = {name: number for number, name in enumerate(sorted(set(sources)))}
        self._sources = np.array([names[name] for name in sources], np.int32)
        self._listed = np.arange(num_listed)
        self._candidates: dict[int, tuple[np.ndarray, csr_matrix]] = {}

    def cosines(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs of offers."""
        return np.asarray(self._rows[left].multiply(self._rows[right]).sum(axis=1).A1, np.float32)

    def of(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest of some offers.

        Args:
            positions: (N,) of the offers.
        Returns:
            their positions, (N, NUM_NEAREST) int64 with -1 where there are fewer, and cosines, float32, best first.
        """
        found = np.full((len(positions), NUM_NEAREST), -1, np.int64)
        cosines = np.zeros((len(positions), NUM_NEAREST), np.float32)
        sources = self._sources[positions]
        for source in np.unique(sources):
            asked = np.flatnonzero(sources == source)
            candidates, columns = self._candidates_of(int(source))
            top = sp_matmul_topn(
                self._rows[positions[asked]], columns, NUM_NEAREST + 1, sort=True, n_threads=usable_cores()
            )
            for row, query in enumerate(asked):
                span = slice(top.indptr[row], top.indptr[row + 1])
                others = candidates[top.indices[span]]
                kept = np.flatnonzero(others != positions[query])[:NUM_NEAREST]
                found[query, : len(kept)] = others[kept]
                cosines[query, : len(kept)] = top.data[span][kept]
        return found, cosines

    def _candidates_of(self, source: int) -> tuple[np.ndarray, csr_matrix]:
        """Positions of the offers that one of a source is compared with, and their words, transposed."""
        if source not in self._candidates:
            of_others = self._listed[self._sources[self._listed] != source]
            others = of_others if len(of_others) else self._listed
            self._candidates[source] = (others, csr_matrix(self._rows[others].T))
        return self._candidates[source]
