"""A graph of neighbours (HNSW, Malkov and Yashunin 2018) over keys, through usearch: finds candidates quickly."""

import os
import zlib
from pathlib import Path

import numpy as np

from retrieval.index.local.usearch_library import Index
from retrieval.settings import IndexSettings

#: Vectors are kept in 8 bits, half the memory of 16. Candidates are compared exactly afterwards, so that rounding costs
#: no hit as long as twice as many candidates as hits are taken.
_DTYPE = "i8"
_LARGEST = 127
#: Share of the numbers that 8 bits keep whole; the largest few are cut.
_KEPT_SHARE = 0.9999
#: Of vectors that are nearer to each other nothing can be learned of those to come.
_LEAST_SPREAD = 1e-3
_SCALE_SUFFIX = ".npz"
_BLOCK_BYTES = 1 << 20
#: Kept by a search for a vector that is there.
_CHECKED_CANDIDATES = 16


class NeighborGraph:
    """Candidates for the nearest of a vector. Searches may run side by side, changes need it alone.

    Distances are Euclidean, which for unit vectors order as dot products do, and do not change when a common part is
    taken away: features that are all positive differ by little of their length, and all of the 8 bits go to that.

    Args:
        dim: numbers in a vector.
    Attributes:
        num_fitted: vectors that its scale was chosen by.
    """

    def __init__(self, dim: int, settings: IndexSettings):
        self._index = Index(
            ndim=dim,
            metric="l2sq",
            dtype=_DTYPE,
            connectivity=settings.max_neighbors,
            expansion_add=settings.build_candidates,
            expansion_search=_CHECKED_CANDIDATES,
        )
        self.num_fitted = 0
        self._center = np.zeros(dim, np.float32)
        self._scale = np.float32(_LARGEST * np.sqrt(dim) / 4)

    def __len__(self) -> int:
        return len(self._index)

    def fit_scale(self, vectors: np.ndarray) -> None:
        """Choose what 8 bits stand for, by an example of the vectors; only before the first is added.

        Args:
            vectors: (N, D) float32 of unit length, one or more.
        """
        assert not len(self._index), "the scale of a graph does not change"
        self.num_fitted = len(vectors)
        self._center = vectors.mean(axis=0)
        largest = float(np.quantile(np.abs(vectors - self._center), _KEPT_SHARE))
        if largest > _LEAST_SPREAD:
            self._scale = np.float32(_LARGEST / largest)

    def keys(self) -> np.ndarray:
        """(N,) int64, in no order."""
        return np.array(self._index.keys, np.int64).reshape(-1)

    def add(self, keys: np.ndarray, vectors: np.ndarray, threads: int = 1) -> None:
        """Insert keys that are not there.

        Args:
            vectors: (N, D) of unit length.
        """
        if not len(keys):
            return
        # Vectors that are the same must not be it here: links between them would leave none to the others.
        noise = np.random.default_rng(int(keys[0])).random(vectors.shape, np.float32) - 0.5
        self._index.add(keys.astype(np.uint64), self._quantized(vectors, noise), threads=threads)
        if threads > 1:
            is_lost = self._are_lost(keys, threads)
            self.remove(keys[is_lost])
            self.add(keys[is_lost], vectors[is_lost])

    def remove(self, keys: np.ndarray) -> None:
        """Take keys out; those that are not there do not matter."""
        if len(keys):
            self._index.remove(keys.astype(np.uint64), threads=1)

    def keep_candidates(self, count: int) -> None:
        """Set how many candidates a search keeps on its way, at least; more find more and take longer."""
        self._index.expansion_search = count  # type: ignore[misc]  # its setter is not declared

    def candidates(self, vector: np.ndarray, count: int) -> np.ndarray:
        """Up to `count` keys near a vector, the nearest first; a search for many keeps as many on its way.

        Args:
            vector: (D,) of unit length.
        """
        if not len(self._index):
            return np.empty(0, np.int64)
        found = self._index.search(self._quantized(vector), count, threads=1)
        return np.asarray(found.keys, np.int64).reshape(-1)

    def save(self, path: Path) -> None:
        """Write a file, and one beside it with what its numbers stand for; each is whole or not there."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._index.save(str(partial))
            checksum = _checksum(partial)
            partial.replace(path)
            with partial.open("wb") as file:
                np.savez(file, center=self._center, scale=self._scale, num_fitted=self.num_fitted, checksum=checksum)
            partial.replace(_scale_file(path))
        finally:
            partial.unlink(missing_ok=True)

    def load(self, path: Path) -> bool:
        """Read what `save` wrote into a new graph; False where it is missing or cannot be used."""
        dim = self._index.ndim
        try:
            with _scale_file(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                self._center, self._scale = arrays["center"], np.float32(arrays["scale"])
                self.num_fitted = int(arrays["num_fitted"])
                if arrays["checksum"] != _checksum(path):  # usearch itself believes in damaged files, or crashes
                    return False
            self._index.load(str(path))
        except Exception:  # cut off, of another version or not there: it is only a shortcut
            return False
        return self._index.ndim == dim == len(self._center)

    def _are_lost(self, keys: np.ndarray, threads: int) -> np.ndarray:
        """(N,) bool, keys that no link leads to, as threads overwrite some of each other's."""
        codes = np.asarray(self._index.get(keys.astype(np.uint64), dtype=_DTYPE))
        found = self._index.search(codes, 1, threads=threads)
        return np.asarray(found.distances).reshape(-1) > 0

    def _quantized(self, vectors: np.ndarray, noise: np.ndarray | float = 0.0) -> np.ndarray:
        scaled = np.rint((vectors.astype(np.float32) - self._center) * self._scale + noise)
        return np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int8)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _scale_file(path: Path) -> Path:
    return path.with_name(path.name + _SCALE_SUFFIX)
