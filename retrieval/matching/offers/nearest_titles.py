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
#: Titles for which it pays to start threads.
_MANY_TITLES = 256


class TitleSearch:
    """Finds the titles of a catalog that are nearest to others.

    Candidates are the offers of other sources, where the offers have different ones, else all others.

    Args:
        words, grams: of the titles; both count the same.
        sources: of the offers; '' is a source like any other.
        num_listed: offers that are candidates, the first ones.
    """

    def __init__(self, words: WordMatrix, grams: WordMatrix, sources: Sequence[str], num_listed: int):
        self.rows = title_rows(words, grams)
        self._columns = words.columns, grams.columns
        self._names = {name: number for number, name in enumerate(sorted(set(sources)))}
        self._sources = np.array([self._names[name] for name in sources], np.int32)
        self._listed = np.arange(num_listed)
        self._candidates: dict[int, tuple[np.ndarray, csr_matrix]] = {}
        self._num_threads = usable_cores()

    def rows_of(self, words: WordMatrix, grams: WordMatrix) -> csr_matrix:
        """(N, W) float32, titles from outside in the columns of the catalog; what it has not counts as unlike."""
        rows = title_rows(words, grams)
        places = np.full(rows.shape[1], -1, np.int32)
        first = 0
        for matrix, known in zip((words, grams), self._columns, strict=True):
            found = [known.get(word, -1 - first) + first for word in matrix.columns]
            start = 0 if matrix is words else words.present.shape[1]
            places[start : start + len(found)] = found
            first += max(len(known), 1)
        rows = rows.tocoo()
        kept = places[rows.col] >= 0
        cells = rows.data[kept], (rows.row[kept], places[rows.col[kept]])
        return csr_matrix(cells, (rows.shape[0], self.rows.shape[1]))

    def nearest(self, rows: csr_matrix, sources: Sequence[str], own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest of some titles.

        Args:
            rows: (N, W) the titles, as in `rows` or from `rows_of`.
            sources: whose lists they are from.
            own: (N,) positions in the catalog that are the same offers, and no hits; -1 for one from outside.
        Returns:
            positions, (N, NUM_NEAREST) int64 with -1 where there are fewer, and cosines, float32, best first.
        """
        found = np.full((len(own), NUM_NEAREST), -1, np.int64)
        cosines = np.zeros((len(own), NUM_NEAREST), np.float32)
        numbers = np.array([self._names.get(source, -1) for source in sources], np.int32)
        for source in np.unique(numbers):
            asked = np.flatnonzero(numbers == source)
            candidates, columns = self._candidates_of(int(source))
            num_threads = self._num_threads if len(asked) >= _MANY_TITLES else 1
            top = sp_matmul_topn(rows[asked], columns, NUM_NEAREST + 1, sort=True, n_threads=num_threads)
            for row, query in enumerate(asked):
                span = slice(top.indptr[row], top.indptr[row + 1])
                others = candidates[top.indices[span]]
                kept = np.flatnonzero(others != own[query])[:NUM_NEAREST]
                found[query, : len(kept)] = others[kept]
                cosines[query, : len(kept)] = top.data[span][kept]
        return found, cosines

    def _candidates_of(self, source: int) -> tuple[np.ndarray, csr_matrix]:
        """Positions of the offers that one of a source is compared with, and their words, transposed."""
        if source not in self._candidates:
            of_others = self._listed[self._sources[self._listed] != source]
            others = of_others if len(of_others) else self._listed
            self._candidates[source] = (others, csr_matrix(self.rows[others].T))
        return self._candidates[source]


class NearestTitles:
    """Cosines between the titles of some offers, and the nearest of each in a catalog.

    Args:
        rows: (N, W) their titles, in columns of their own or the catalog's.
        search: finds titles of the catalog.
        asked: (N, W) their titles in the columns of the catalog.
        sources: of the offers.
        own: (N,) their positions in the catalog, -1 for one from outside.
    """

    def __init__(
        self, rows: csr_matrix, search: TitleSearch, asked: csr_matrix, sources: Sequence[str], own: np.ndarray
    ):
        self._rows = rows
        self._search = search
        self._asked = asked
        self._sources = np.array(sources)
        self._own = own

    def cosines(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs of offers."""
        return np.asarray(self._rows[left].multiply(self._rows[right]).sum(axis=1).A1, np.float32)

    def of(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest of some offers.

        Args:
            positions: (N,) of the offers.
        Returns:
            positions in the catalog and cosines, see `TitleSearch.nearest`.
        """
        return self._search.nearest(self._asked[positions], self._sources[positions].tolist(), self._own[positions])


def title_rows(words: WordMatrix, grams: WordMatrix) -> csr_matrix:
    """(N, W) float32 of length 1, the titles by their words and letters, both weighing the same."""
    halves = [matrix.unit_rows(_MOST_OFFERS_OF_A_WORD) * np.float32(0.5**0.5) for matrix in (words, grams)]
    return csr_matrix(hstack(halves))
