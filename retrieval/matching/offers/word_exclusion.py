"""Words that stand in each other's place: 'black' and 'white' are both frequent in titles, but hardly ever in one.

So two titles that differ in them are of two products. 'Sale' and 'gift wrap' may be together as seldom, but say
nothing: the same title is often found without them. The catalog alone tells which words are of which kind.
"""

import numpy as np
from rapidfuzz import fuzz
from scipy.sparse import csr_matrix

from retrieval.matching.offers.nearest_titles import NearestTitles
from retrieval.matching.offers.word_matrix import WordMatrix

#: Words so alike are one word, spelled otherwise, and so not together either; 0 to 100.
ALIKE = 75
#: Words of fewer offers are left out, for they are rarely together with any: a part of the root of the offers.
_LEAST_OFFERS, _PART_OF_ROOT = 5, 0.25
_MOST_WORDS = 2048
#: Offers, evenly over the catalog, whose nearest tell which words titles agree in, and how many of each.
_MOST_OFFERS_WITH_NEAREST, _NUM_NEAREST = 20_000, 3


class WordExclusion:
    """Weights of one title having a word and another title another.

    That is how much less often than by chance the two are in one title (pointwise mutual information, Church and Hanks
    1990), times the shares in which titles that are alike agree in each.

    Args:
        words: of the catalog's titles, see `terms`.
        nearest: finds titles that are alike.
        num_listed: offers that count, the first ones.
    """

    def __init__(self, words: WordMatrix, nearest: NearestTitles, num_listed: int):
        listed = words.present[:num_listed]
        counts = np.bincount(listed.indices, minlength=listed.shape[1])
        most = np.argsort(-counts, kind="stable")[:_MOST_WORDS]
        frequent = most[counts[most] >= max(_LEAST_OFFERS, _PART_OF_ROOT * num_listed**0.5)]
        known = list(words.columns)
        self._places = {known[word]: place for place, word in enumerate(frequent)}
        self._names = [str(known[word]) for word in frequent]
        rows = csr_matrix(words.present[:, frequent])
        together = (rows[:num_listed].T @ rows[:num_listed]).toarray()
        expected = np.outer(counts[frequent], counts[frequent] / max(num_listed, 1)).astype(np.float32)
        asked = np.unique(np.linspace(0, max(num_listed - 1, 0), _MOST_OFFERS_WITH_NEAREST).astype(np.int64))[
            :num_listed
        ]
        found = nearest.of(asked)[0][:, :_NUM_NEAREST]
        left, right = np.repeat(asked, found.shape[1]), found.ravel()
        agreed = _agreed(rows[left[right >= 0]], rows[right[right >= 0]])
        surprise = np.log((expected + 1) / (together + 1)) * np.outer(agreed, agreed)
        self._surprise = np.maximum(surprise, 0).astype(np.float32)

    def of(self, words: WordMatrix, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compare the words that one offer of a pair has alone with those that the other has alone.

        Args:
            words: of the titles of any offers.
            left, right: (P,) positions of the offers among these.
        Returns:
            (P,) float32 each: the most that two words say, 0 or more; the sum over the words of the one or the other,
            whichever is less; the number of frequent words that the offer with fewer of them has alone.
        """
        places = np.array([self._places.get(word, -1) for word in words.columns] or [-1])
        rows = np.zeros((len(left), 3), np.float32)
        for row, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
            ours, theirs = _frequent(words, places, i), _frequent(words, places, j)
            ours, theirs = ours - theirs, theirs - ours
            if ours and theirs:
                found = np.array([[self._surprise_of(word, other) for other in theirs] for word in ours])
                least = min(found.max(axis=0).sum(), found.max(axis=1).sum())
                rows[row] = found.max(), least, min(len(ours), len(theirs))
        strongest, total, count = rows.T
        return strongest, total, count

    def _surprise_of(self, place: int, other: int) -> float:
        names = self._names[place], self._names[other]
        if all(map(str.isalpha, names)) and fuzz.ratio(*names) >= ALIKE:
            return 0.0
        return float(self._surprise[place, other])


def _frequent(words: WordMatrix, places: np.ndarray, offer: int) -> set[int]:
    """Places of an offer's frequent words."""
    start, end = words.present.indptr[offer : offer + 2]
    found = places[words.present.indices[start:end]]
    return set(found[found >= 0].tolist())


def _agreed(left: csr_matrix, right: csr_matrix) -> np.ndarray:
    """(W,) float64, of the pairs where a title has a word, the share where both have it.

    Pairs where each title has words alone do not count: they may be of two products.
    """
    shared = left.multiply(right).tocsr()
    ours, theirs = left - shared, right - shared
    kept = (ours.sum(axis=1).A1 == 0) | (theirs.sum(axis=1).A1 == 0)
    both = shared[kept].sum(axis=0).A1
    one = ours[kept].sum(axis=0).A1 + theirs[kept].sum(axis=0).A1
    return np.asarray((both + 1) / (both + one + 1))
