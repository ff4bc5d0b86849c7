"""The words of many texts as numbers, by which texts with almost the same words are found in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

#: Share of their words, each weighted by its rarity, that two texts have in common; and most texts that share a word
#: that counts as rare.
RARE_WORD_SIMILARITY, _MAX_RARE = 0.7, 20
#: A text with fewer words says too little to be the same as one with a word more.
_MIN_WORDS = 3
_CHUNK_TEXTS = _CHUNK_PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class WordTable:
    """The different words of N texts, M in all.

    Args:
        texts: (M,) int32, ascending, the text that has the word.
        words: (M,) int32, the word's number.
        hashes: (W,) int64, of each word.
        num_texts: N.
    """

    texts: np.ndarray
    words: np.ndarray
    hashes: np.ndarray
    num_texts: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> WordTable:
        """The words of texts, which blanks separate."""
        counts, hashes = [], []
        for start in range(0, len(texts), _CHUNK_TEXTS):
            words = [set(text.split()) for text in texts[start : start + _CHUNK_TEXTS]]
            counts.append(np.array([len(own) for own in words], np.int32))
            hashes.append(np.array([hash(word) for own in words for word in own], np.int64))
        numbers = np.arange(len(texts), dtype=np.int32)
        if not len(texts):
            return cls(numbers, numbers, np.empty(0, np.int64), 0)
        known, words_of_rows = np.unique(np.concatenate(hashes), return_inverse=True)
        return cls(np.repeat(numbers, np.concatenate(counts)), words_of_rows.astype(np.int32), known, len(texts))

    def one_more(self) -> np.ndarray:
        """(P, 2) int64, pairs of texts of which the second has the words of the first and one more."""
        sums, counts = np.zeros(self.num_texts, np.int64), np.bincount(self.texts, minlength=self.num_texts)
        np.add.at(sums, self.texts, self.hashes[self.words])  # wraps around, which does no harm
        shorter = np.flatnonzero(counts >= _MIN_WORDS)
        order = shorter[np.argsort(sums[shorter], kind="stable")]
        without = sums[self.texts] - self.hashes[self.words]
        place = np.searchsorted(sums[order], without)
        found = place < len(order)
        found[found] = sums[order[place[found]]] == without[found]
        pairs = np.stack([order[place[found]], self.texts[found]], axis=1)
        return pairs[counts[pairs[:, 0]] + 1 == counts[pairs[:, 1]]]

    def same_rare(self) -> np.ndarray:
        """(P, 2) int64, pairs that share a rare word, and most words weighted by inverse document frequency."""
        counts = np.bincount(self.words, minlength=len(self.hashes))
        rarity = np.log((self.num_texts + 1) / np.maximum(counts, 1))
        has = sparse.csr_matrix(
            (np.ones(len(self.words), bool), (self.texts, self.words)), shape=(self.num_texts, len(self.hashes))
        )
        totals, found = has @ rarity, [np.empty((0, 2), np.int64)]
        candidates = self._sharing_rare(counts)
        for start in range(0, len(candidates), _CHUNK_PAIRS):
            first, second = candidates[start : start + _CHUNK_PAIRS].T
            common = has[first].multiply(has[second]) @ rarity
            is_same = common >= RARE_WORD_SIMILARITY * (totals[first] + totals[second] - common)
            found.append(candidates[start : start + _CHUNK_PAIRS][is_same])
        return np.concatenate(found)

    def _sharing_rare(self, counts: np.ndarray) -> np.ndarray:
        """(P, 2) int64, ascending, the pairs of texts that have a rare word in common."""
        is_rare = (counts[self.words] >= 2) & (counts[self.words] <= _MAX_RARE)
        texts, words = self.texts[is_rare].astype(np.int64), self.words[is_rare]
        texts = texts[np.argsort(words, kind="stable")]  # texts of a word side by side
        sizes = np.repeat(counts[np.unique(words)], counts[np.unique(words)])
        keys = [np.empty(0, np.int64)]
        for size in np.unique(sizes):
            together = texts[sizes == size].reshape(-1, size)
            first, second = np.triu_indices(size, k=1)
            keys.append(np.unique(together[:, first] * self.num_texts + together[:, second]))
        key = np.unique(np.concatenate(keys))
        return np.stack([key // max(self.num_texts, 1), key % max(self.num_texts, 1)], axis=1)
