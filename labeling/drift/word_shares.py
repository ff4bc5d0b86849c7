"""Words of a new catalog, and how often they occurred in what a bundle learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labeling.likelihood_ratio import LEAST_EVIDENCE, log_likelihood_ratio
from tokenizer.ngrams import hashed_ngrams
from tokenizer.tokenizer import Tokenizer, normalized_texts

#: Of more different words those that occurred once are forgotten.
_MOST_WORDS = 2_000_000
_LEAST_PRODUCTS = 5


@dataclass(frozen=True)
class WordShare:
    """One word of one field.

    Args:
        products: of the new catalog that have it.
        share: of the new catalog's products with the field.
        trained_share: at most, of the products with the field that the bundle learned from; words and pieces of words
            share places in the tokenizer's table.
        evidence: log-likelihood ratio (Dunning 1993), chi-square distributed where nothing changed.
    """

    field: str
    word: str
    products: int
    share: float
    trained_share: float
    evidence: float


class WordCounter:
    """Counts the products that have each word.

    Args:
        tokenizer: of the bundle, whose frequencies are compared with.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._counts: dict[str, Counter[str]] = {field: Counter() for field in tokenizer.fields}
        self._num_texts: Counter[str] = Counter()

    def add(self, texts: Mapping[str, Sequence[str]]) -> None:
        """Count more products.

        Args:
            texts: field to raw texts, '' where missing.
        """
        for name, raw in texts.items():
            counts = self._counts[name]
            for text in normalized_texts(raw, self._tokenizer.fields[name]):
                words = set(_words(text))
                counts.update(words)
                self._num_texts[name] += bool(words)
            if len(counts) > _MOST_WORDS:
                self._counts[name] = Counter({word: count for word, count in counts.items() if count > 1})

    def risen(self) -> list[WordShare]:
        """The words that are surely more frequent than they were, the strongest evidence first.

        Some are missed, as what the bundle knows of their earlier frequency is an upper bound; for the same reason it
        cannot tell which words are gone.
        """
        found = []
        for name, counts in self._counts.items():
            num_texts, num_trained = self._num_texts[name], self._tokenizer.num_texts.get(name, 0)
            if not num_texts or not num_trained:
                continue
            words = [word for word, count in counts.items() if count >= _LEAST_PRODUCTS]
            for word, frequency in zip(words, self._frequencies(name, words), strict=True):
                trained, count = min(frequency, num_trained), counts[word]
                evidence = float(log_likelihood_ratio(count, num_texts, trained, num_trained))
                if evidence >= LEAST_EVIDENCE and count / num_texts > trained / num_trained:
                    found.append(WordShare(name, word, count, count / num_texts, trained / num_trained, evidence))
        return sorted(found, key=lambda word: -word.evidence)

    def _frequencies(self, name: str, words: Sequence[str]) -> list[int]:
        """Texts that the tokenizer was fitted on and that have each word in this field."""
        settings, found = self._tokenizer.settings, [0] * len(words)
        rows, buckets, _, _ = hashed_ngrams(words, self._tokenizer.fields[name].salt, (1,), (), settings.hash_buckets)
        for row, bucket in zip(rows.tolist(), buckets.tolist(), strict=True):
            found[row] = int(self._tokenizer.ngram_frequencies[bucket])
        return found


def _words(text: str) -> list[str]:
    """The words as the n-grams have them: what is neither letter nor digit is a space."""
    return "".join(character if character.isalnum() else " " for character in text).split()
