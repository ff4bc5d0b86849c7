"""Which offers of a catalog have which words, and how rare these are."""

from array import array
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Overlap:
    """The words that pairs of offers share, by the weights of the words; each (P,) float32.

    Args:
        shared: sum over the words that both have.
        left_only, right_only: sums over those that one of them has.
        largest_shared, largest_left_only, largest_right_only: of a single word, 0 without one.
        cosine: of the weighted words, 0 to 1.
    """

    shared: np.ndarray
    left_only: np.ndarray
    right_only: np.ndarray
    largest_shared: np.ndarray
    largest_left_only: np.ndarray
    largest_right_only: np.ndarray
    cosine: np.ndarray


@dataclass(frozen=True)
class WordCounts:
    """Counts of a catalog's words.

    Args:
        num_offers: of the catalog.
        by_word: offers that have each word.
    """

    num_offers: int
    by_word: Mapping[Hashable, int]


class WordMatrix:
    """Which offer has which words.

    Args:
        offers: the words of each; how often and in which order one has them does not matter.
        catalog: counts of the catalog that says how rare words are; None is these offers' own.
    Attributes:
        columns: the column of each word.
        present: (N, W) float32 of 0 and 1.
        counts: (W,) int64, offers of the catalog that have each word, at least 1.
        rarity: (W,) float32, inverse document frequency (Spärck Jones 1972), smoothed.
    """

    def __init__(self, offers: Iterable[Iterable[Hashable]], catalog: WordCounts | None = None):
        self.columns: dict[Hashable, int] = {}
        indices = array("i")
        bounds = [0]
        for words in offers:
            indices.extend(sorted({self.columns.setdefault(word, len(self.columns)) for word in words}))
            bounds.append(len(indices))
        shape = len(bounds) - 1, max(len(self.columns), 1)
        self.present = csr_matrix((np.ones(len(indices), np.float32), np.array(indices, np.int32), bounds), shape)
        self.counts, num_offers = np.bincount(self.present.indices, minlength=shape[1]), shape[0]
        if catalog is not None:
            known = [catalog.by_word.get(word, 1) for word in self.columns]
            self.counts, num_offers = np.array(known or [1]), catalog.num_offers
        self.rarity = np.log((num_offers + 1) / (self.counts + 0.5)).astype(np.float32)

    @property
    def word_counts(self) -> WordCounts:
        """Counts of these offers' words."""
        return WordCounts(self.present.shape[0], dict(zip(self.columns, self.counts.tolist(), strict=False)))

    def compare(self, left: np.ndarray, right: np.ndarray) -> "ComparedWords":
        """Compare pairs of offers.

        Args:
            left, right: (P,) positions of the offers.
        """
        return ComparedWords(self, left, right)

    def unit_rows(self, most_offers: int) -> csr_matrix:
        """(N, W) float32 of weighted words with rows of length 1, without words that more offers than that have."""
        weights = np.where(self.counts <= most_offers, self.rarity, 0).astype(np.float32)
        rows = self.present.copy()
        rows.data = weights[rows.indices]
        rows.eliminate_zeros()
        lengths = np.sqrt(np.maximum(rows.multiply(rows).sum(axis=1).A1, 1e-12)).astype(np.float32)
        rows.data /= np.repeat(lengths, np.diff(rows.indptr))
        return rows


class ComparedWords:
    """The words that pairs of offers share, and those that one of each pair has alone."""

    def __init__(self, matrix: WordMatrix, left: np.ndarray, right: np.ndarray):
        self._rarity = matrix.rarity
        ours, theirs = _cells(matrix.present, left), _cells(matrix.present, right)
        places = np.searchsorted(theirs, ours)
        is_shared = np.append(theirs, -1)[places] == ours
        is_theirs = np.ones(len(theirs), bool)
        is_theirs[places[is_shared]] = False
        num_words = matrix.present.shape[1]
        parts = ours[is_shared], ours[~is_shared], theirs[is_theirs]
        self._shared, self._left, self._right = (_PairWords(*np.divmod(part, num_words), len(left)) for part in parts)

    def overlap(self, weights: np.ndarray | None = None) -> Overlap:
        """Sum up what the pairs share by the weights of the words.

        Args:
            weights: (W,) float32, 0 or more; their rarity by default.
        """
        weights = self._rarity if weights is None else weights
        parts = self._shared, self._left, self._right
        total, left_total, right_total = (part.total(weights) for part in parts)
        largest, left_largest, right_largest = (part.largest(weights) for part in parts)
        shared, ours, theirs = (part.total(weights * weights) for part in parts)
        lengths = np.sqrt(np.maximum((shared + ours) * (shared + theirs), 1e-12))
        cosine = shared / lengths
        return Overlap(total, left_total, right_total, largest, left_largest, right_largest, cosine)


@dataclass(frozen=True)
class _PairWords:
    """Words of pairs: (M,) the pair and the column of each."""

    pairs: np.ndarray
    columns: np.ndarray
    num_pairs: int

    def total(self, weights: np.ndarray) -> np.ndarray:
        """(P,) float32, sum of the weights of each pair's words."""
        return np.bincount(self.pairs, weights[self.columns], self.num_pairs).astype(np.float32)

    def largest(self, weights: np.ndarray) -> np.ndarray:
        """(P,) float32, the largest weight among each pair's words, 0 without one."""
        found = np.zeros(self.num_pairs, np.float32)
        np.maximum.at(found, self.pairs, weights[self.columns])
        return found


def _cells(present: csr_matrix, positions: np.ndarray) -> np.ndarray:
    """(M,) int64, ascending: pair * W + column of each word of the pairs' offers."""
    rows = present[positions]
    pairs = np.repeat(np.arange(len(positions), dtype=np.int64), np.diff(rows.indptr))
    return pairs * present.shape[1] + rows.indices
