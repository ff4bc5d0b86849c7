"""What single words say about two offers being one product, learned from pairs.

'black' beside 'white' and 'upgrade' on one side alone speak against it, in one catalog more than in another.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from retrieval.matching.offers.offer_table import OfferTable


@dataclass(frozen=True)
class WordEvidence:
    """A linear model over the words that both offers have and those that one of them has.

    Args:
        words: different ones.
        shared, single: (W,) float32, what each word adds to the log odds where both have it, and where one has.
        bias: what is added in any case.
    """

    words: Sequence[str]
    shared: np.ndarray
    single: np.ndarray
    bias: float

    def of_words(self, words: Iterable[Hashable]) -> WordEvidence:
        """The same for other words, or in another order; one that was not learned says nothing."""
        known = {word: position for position, word in enumerate(self.words)}
        names = [str(word) for word in words]
        # a catalog without a word has one column all the same
        places = np.array([known.get(name, len(known)) for name in names] or [len(known)], np.int64)
        shared, single = (np.append(weights, np.float32(0))[places] for weights in (self.shared, self.single))
        return WordEvidence(names, shared, single, self.bias)

    def log_odds(self, table: OfferTable, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs of offers.

        Args:
            table: whose words these are, see `of_words`.
        """
        both, one = _indicators(table, left, right)
        return np.asarray(both @ self.shared + one @ self.single + self.bias, np.float32)


class WordEvidenceData:
    """Words of labelled pairs, to learn from any part of them.

    Args:
        least_offers: words of fewer offers are not learned; None learns none.
    """

    def __init__(self, table: OfferTable, left: np.ndarray, right: np.ndarray, least_offers: int | None):
        both, one = _indicators(table, left, right)
        kept = table.words.counts >= (len(table) + 1 if least_offers is None else least_offers)
        self._words = [str(word) for word, is_kept in zip(table.words.columns, kept, strict=False) if is_kept]
        self._rows = csr_matrix(hstack([both[:, kept], one[:, kept]]))

    def fit(self, pairs: np.ndarray, same: np.ndarray, penalty: float) -> WordEvidence:
        """Learn from some of the pairs.

        Args:
            pairs: (P,) their positions.
            same: (P,) bool.
            penalty: inverse strength of the L2 penalty, above 0.
        """
        from sklearn.linear_model import LogisticRegression

        if not self._words:
            return WordEvidence([], np.zeros(0, np.float32), np.zeros(0, np.float32), 0.0)
        model = LogisticRegression(C=penalty, max_iter=1000).fit(self._rows[pairs], same)
        shared, single = np.split(model.coef_[0].astype(np.float32), 2)
        return WordEvidence(self._words, shared, single, float(model.intercept_[0]))


def _indicators(table: OfferTable, left: np.ndarray, right: np.ndarray) -> tuple[csr_matrix, csr_matrix]:
    """(P, W) float32 of 0 and 1: words that both offers have, and those that one has."""
    ours, theirs = table.words.present[left], table.words.present[right]
    both = csr_matrix(ours.multiply(theirs))
    return both, csr_matrix(ours + theirs - 2 * both)
