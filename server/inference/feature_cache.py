"""Picture features kept for the next time the same picture comes."""

import hashlib
import threading

import numpy as np
from cachetools import LRUCache

_DIGEST_BYTES = 16  # chance finds two pictures with one digest after some 10^19 of them


class FeatureCache:
    """Features by the content of their encoded picture; the longest unused ones make room. Thread-safe.

    Args:
        max_bytes: most that digests and features take up together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int):
        self._features: LRUCache[bytes, np.ndarray] = LRUCache(max_bytes, lambda kept: _DIGEST_BYTES + kept.nbytes)
        self._lock = threading.Lock()
        self._num_hits = self._num_misses = 0

    @property
    def num_bytes(self) -> int:
        """What it takes up now."""
        return int(self._features.currsize)

    @property
    def counts(self) -> dict[str, int]:
        """Pictures looked up so far: "hit" and "miss"."""
        return {"hit": self._num_hits, "miss": self._num_misses}

    def get(self, image: bytes) -> np.ndarray | None:
        """(F,) float32 features of a picture seen before, None for another one."""
        if not self._features.maxsize:
            return None
        digest = _digest(image)
        with self._lock:
            features: np.ndarray | None = self._features.get(digest)
            self._num_hits += features is not None
            self._num_misses += features is None
        return features

    def put(self, image: bytes, features: np.ndarray) -> None:
        """Keep (F,) float32 features, unless the cache is smaller than they are."""
        if _DIGEST_BYTES + features.nbytes > self._features.maxsize:
            return
        digest = _digest(image)
        with self._lock:
            self._features[digest] = features.copy()  # a row of a batch would keep the whole batch


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest()
