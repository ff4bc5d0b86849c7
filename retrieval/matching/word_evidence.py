"""What single words say about two offers being one product, learned from pairs.

'black' beside 'white' and 'upgrade' on one side alone speak against it, in one catalog more than in another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from retrieval.matching.offer_table import OfferTable

#: A word of fewer offers is not learned.
_LEAST_OFFERS = 3


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

    def log_odds(self, table: OfferTable, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs of offers."""
        known = {word: position for position, word in enumerate(self.words)}
        places = np.array([known.get(str(word), -1) for word in table.words.columns] or [-1])
        shared = np.where(places >= 0, self.shared[places], 0) if len(self.words) else np.zeros(len(places))
        single = np.where(places >= 0, self.single[places], 0) if len(self.words) else np.zeros(len(places))
        both, one = _indicators(table, left, right)
        return np.asarray(both @ shared + one @ single + self.bias, np.float32)


class WordEvidenceData:
    """Words of labelled pairs, to learn from any part of them."""

    def __init__(self, table: OfferTable, left: np.ndarray, right: np.ndarray):
        both, one = _indicators(table, left, right)
        kept = table.words.counts >= _LEAST_OFFERS
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
