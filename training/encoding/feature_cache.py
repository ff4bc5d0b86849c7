"""Picture features on disk, keyed by the picture's content: decoded and embedded once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.machine.whole_file import named_errors
from training.encoding.file_lock import exclusive


class FeatureCache:
    """Features of one image encoder. Survives a kill at any moment; processes may share it, writing in turn.

    Args:
        folder: one per image encoder.
        feature_dim: width F.
        dtype: of a feature.
    """

    def __init__(self, folder: Path, feature_dim: int, dtype: type = np.float32):
        folder.mkdir(parents=True, exist_ok=True)
        self.feature_dim = feature_dim
        self.dtype = np.dtype(dtype)
        self._keys_path = folder / "keys.bin"
        self._features_path = folder / "features.bin"
        for path in (self._keys_path, self._features_path):
            path.touch()
        self._lock_path = folder / "lock"
        self._keys = np.zeros(0, np.uint64)
        self.refresh()

    def refresh(self) -> None:
        """Take in what other processes have added."""
        with exclusive(self._lock_path):
            self._load()
        self._sort()

    @staticmethod
    def key(picture: bytes) -> int:
        """64 bits of the picture's BLAKE2b; a chance collision among ten million has odds of 1 in 370,000."""
        return int.from_bytes(hashlib.blake2b(picture, digest_size=8).digest(), "little")

    def __len__(self) -> int:
        return len(self._keys)

    def rows(self, keys: Sequence[int] | np.ndarray) -> np.ndarray:
        """(N,) int64 row of each key, -1 where it is not cached."""
        wanted = np.array(keys, np.uint64)
        if not len(self._keys):
            return np.full(len(wanted), -1, np.int64)
        position = np.minimum(np.searchsorted(self._sorted_keys, wanted), len(self._keys) - 1)
        return np.where(self._sorted_keys[position] == wanted, self._order[position], -1)

    def append(self, keys: Sequence[int], features: np.ndarray) -> None:
        """Store (N, F) features; features first, so that a key never lacks its row."""
        new_keys = np.array(keys, np.uint64)
        with exclusive(self._lock_path):
            self._load()
            with named_errors(self._features_path), self._features_path.open("ab") as file:
                file.write(np.ascontiguousarray(features, self.dtype).data)
            with named_errors(self._keys_path), self._keys_path.open("ab") as file:
                file.write(new_keys.data)
        self._keys = np.concatenate([self._keys, new_keys])
        self._sort()

    def features(self) -> np.ndarray:
        """(rows, F) of `dtype`, a read-only memory map."""
        form = (len(self._keys), self.feature_dim)
        return np.memmap(self._features_path, self.dtype, "r", shape=form) if len(self) else np.zeros(form, self.dtype)

    def _sort(self) -> None:
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted_keys = self._keys[self._order]

    def _load(self) -> None:
        """Take the keys of other processes, whose rows come before those to append."""
        self._drop_torn_rows()
        if self._keys_path.stat().st_size != self._keys.nbytes:
            self._keys = np.fromfile(self._keys_path, np.uint64)

    def _drop_torn_rows(self) -> None:
        """Cut both files to the rows that are whole in both."""
        row_bytes = self.dtype.itemsize * self.feature_dim
        count = min(self._keys_path.stat().st_size // 8, self._features_path.stat().st_size // row_bytes)
        for path, size in ((self._keys_path, count * 8), (self._features_path, count * row_bytes)):
            with path.open("r+b") as file:
                file.truncate(size)
