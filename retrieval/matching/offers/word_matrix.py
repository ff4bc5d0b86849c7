"""Which offers of a catalog have which words, and how rare these are."""

from array import array
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Overlap:
    """What pairs of offers share, by the weights of the words; each (P,) float32.

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

    def overlap(self, left: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None) -> Overlap:
        """Compare pairs of offers.

        Args:
            left, right: (P,) positions of the offers.
            weights: (W,) float32 of the words, 0 or more; their rarity by default.
        """
        weights = self.rarity if weights is None else weights
        ours, theirs = self.present[left], self.present[right]
        shared = ours.multiply(theirs).tocsr()
        total = shared @ weights
        squares = weights * weights
        lengths = np.sqrt(np.maximum((ours @ squares) * (theirs @ squares), 1e-12))
        return Overlap(
            total,
            ours @ weights - total,
            theirs @ weights - total,
            _largest(shared, weights),
            _largest(ours - shared, weights),
            _largest(theirs - shared, weights),
            (shared @ squares) / lengths,
        )

    def unit_rows(self, most_offers: int) -> csr_matrix:
        """(N, W) float32 of weighted words with rows of length 1, without words that more offers than that have."""
        weights = np.where(self.counts <= most_offers, self.rarity, 0).astype(np.float32)
        rows = self.present.copy()
        rows.data = weights[rows.indices]
        rows.eliminate_zeros()
        lengths = np.sqrt(np.maximum(rows.multiply(rows).sum(axis=1).A1, 1e-12)).astype(np.float32)
        rows.data /= np.repeat(lengths, np.diff(rows.indptr))
        return rows


def _largest(rows: csr_matrix, weights: np.ndarray) -> np.ndarray:
    """(P,) float32, the largest weight among the words of each row."""
    rows = csr_matrix((rows.data * weights[rows.indices], rows.indices, rows.indptr), rows.shape)
    return np.asarray(rows.max(axis=1).toarray().ravel(), np.float32)
