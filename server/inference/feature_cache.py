"""A cache of picture features, keyed by the content of the picture."""

import hashlib
import threading

from cachetools import LRUCache

_DIGEST_BYTES = 16  # chance finds two pictures with one digest after some 10^19 of them


class FeatureCache:
    """LRU cache of features by the digest of the encoded picture. Thread-safe.

    Args:
        max_bytes: most bytes of digests and features together; 0 turns the cache off.
    """

    def __init__(self, max_bytes: int):
        self._features: LRUCache[bytes, bytes] = LRUCache(max_bytes, lambda features: _DIGEST_BYTES + len(features))
        self._lock = threading.Lock()
        self._num_hits = self._num_misses = 0

    @property
    def num_bytes(self) -> int:
        """Current size, bytes."""
        return int(self._features.currsize)

    @property
    def counts(self) -> dict[str, int]:
        """Number of lookups so far by outcome: "hit" and "miss"."""
        return {"hit": self._num_hits, "miss": self._num_misses}

    @property
    def max_bytes(self) -> int:
        """Largest size, bytes; 0 when it is turned off."""
        return int(self._features.maxsize)

    def get(self, image: bytes) -> bytes | None:
        """Return the features of a cached picture, F float32 numbers; None for another one."""
        if not self._features.maxsize:
            return None
        digest = _digest(image)
        with self._lock:
            features: bytes | None = self._features.get(digest)
            self._num_hits += features is not None
            self._num_misses += features is None
        return features

    def put(self, image: bytes, features: bytes) -> None:
        """Store features, F float32 numbers, unless they are larger than the cache."""
        if _DIGEST_BYTES + len(features) > self._features.maxsize:
            return
        digest = _digest(image)
        with self._lock:
            self._features[digest] = features


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest()
