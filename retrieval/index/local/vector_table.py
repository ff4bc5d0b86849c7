"""The vectors and filter columns of an index in memory, compared one by one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrieval.index.filter import ProductFilter, in_sub_tree
from retrieval.index.local.usearch_library import MetricKind, search
from retrieval.index.record import Attributes, Space

_LEAST_CAPACITY = 1 << 16
#: Rows that are compared at a time.
_BLOCK_ROWS = 1 << 16
#: The comparison rounds queries to 16 bits, so that some more are taken from it and scored exactly.
_SPARE = 8
_TEXTS = ("category", "brand", "mall")
_UNKNOWN = -1


class VectorTable:
    """A row a key, in the order of the keys, which only grow. Not thread-safe against its own changes.

    Memory that no row has used yet is reserved and costs nothing.

    Args:
        dims: numbers in a vector, by space.
    """

    def __init__(self, dims: Mapping[Space, int]):
        self.dims = dict(dims)
        self.num_rows = 0
        self._codes: dict[str, dict[str, int]] = {name: {} for name in _TEXTS}
        self._columns = self._reserve(_LEAST_CAPACITY)

    def append(self, keys: np.ndarray, attributes: list[Attributes], vectors: Mapping[Space, np.ndarray]) -> None:
        """Add N rows with keys above all that are there.

        Args:
            vectors: by space, (N, D) float16; rows of zeros are products without a vector.
        """
        start, stop = self.num_rows, self.num_rows + len(keys)
        self._grow(stop)
        columns = self._columns
        columns["key"][start:stop] = keys
        columns["is_current"][start:stop] = True
        columns["price"][start:stop] = [entry.price for entry in attributes]
        for name, codes in self._codes.items():
            columns[name][start:stop] = [codes.setdefault(getattr(entry, name), len(codes)) for entry in attributes]
        for space, given in vectors.items():
            columns[space][start:stop] = given
            columns[f"has_{space}"][start:stop] = given.any(axis=1)
        self.num_rows = stop

    def remove(self, keys: np.ndarray) -> None:
        """Mark rows as gone; keys that are not there do not matter."""
        rows, found = self._rows(keys)
        self._columns["is_current"][rows[found]] = False

    def drop_gone(self) -> None:
        """Give back the memory of rows that are gone."""
        rows = np.flatnonzero(self._columns["is_current"][: self.num_rows])
        smaller = self._reserve(max(2 * len(rows), _LEAST_CAPACITY))
        for name, values in self._columns.items():
            smaller[name][: len(rows)] = values[rows]
        self._columns, self.num_rows = smaller, len(rows)

    def matching(self, space: Space, condition: ProductFilter) -> np.ndarray:
        """(num_rows,) bool, current rows with a vector that meet a condition."""
        columns, count = self._columns, self.num_rows
        mask: np.ndarray = columns["is_current"][:count] & columns[f"has_{space}"][:count]
        if condition.category:
            codes = [code for text, code in self._codes["category"].items() if in_sub_tree(text, condition.category)]
            mask &= self._has_code("category", codes)
        for name, wanted in (("brand", condition.brands), ("mall", condition.malls)):
            if wanted:
                mask &= self._has_code(name, [self._codes[name].get(text, _UNKNOWN) for text in wanted])
        if condition.has_price:
            prices = columns["price"][:count]
            mask &= (prices >= condition.min_price) & (prices <= condition.max_price)
        return mask

    @property
    def num_current(self) -> int:
        """Rows that are not gone."""
        return int(np.count_nonzero(self._columns["is_current"][: self.num_rows]))

    def count(self, space: Space) -> int:
        """Current rows with a vector."""
        return int(np.count_nonzero(self.matching(space, ProductFilter())))

    def nearest(
        self, space: Space, queries: np.ndarray, k: int, mask: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Compare queries with every row of a mask.

        Args:
            queries: (Q, D) float32.
            mask: (num_rows,) bool.
        Returns:
            keys and scores of the k best of each query, best first.
        """
        best: list[list[np.ndarray]] = [[] for _ in queries]
        narrow = queries.astype(np.float16)
        for start in range(0, self.num_rows, _BLOCK_ROWS):
            chosen = mask[start : start + _BLOCK_ROWS]
            if not chosen.any() or not len(queries):
                continue
            rows = start + np.flatnonzero(chosen)
            for query, positions in enumerate(_nearest_rows(self._gathered(space, start, rows), narrow, k)):
                best[query].append(rows[positions])
        nothing = [np.empty(0, np.int64)]
        scored = [
            self._scored(space, query, np.concatenate(rows or nothing))
            for query, rows in zip(queries, best, strict=True)
        ]
        return [(keys[:k], scores[:k]) for keys, scores in scored]

    def rescored(
        self, space: Space, query: np.ndarray, keys: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The current ones among some keys with their exact scores, best first.

        Args:
            query: (D,) float32.
            mask: (num_rows,) bool that they have to be in; None takes all current ones.
        """
        rows, found = self._rows(keys)
        rows = rows[found]
        return self._scored(space, query, rows[self._columns["is_current"][rows] if mask is None else mask[rows]])

    def vectors(self, space: Space, keys: np.ndarray) -> np.ndarray:
        """(N, D) float32 of keys that are all there."""
        rows, _ = self._rows(keys)
        return self._columns[space][rows].astype(np.float32)

    def keys(self, space: Space) -> np.ndarray:
        """Current keys with a vector, ascending."""
        keys: np.ndarray = self._columns["key"][: self.num_rows][self.matching(space, ProductFilter())]
        return keys

    def _scored(self, space: Space, query: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keys and scores, best first; equal scores by key, so that every engine has one order."""
        scores = self._columns[space][rows].astype(np.float32) @ query
        order = np.lexsort((rows, -scores))
        return self._columns["key"][rows[order]], scores[order]

    def _gathered(self, space: Space, start: int, rows: np.ndarray) -> np.ndarray:
        """(N, D) float16 of some rows from `start` on; without a copy where none is left out."""
        vectors = self._columns[space]
        if rows[-1] - start + 1 == len(rows):
            return vectors[start : start + len(rows)]
        if vectors.shape[1] % 4:
            return vectors[rows]
        return vectors.view(np.int64)[rows].view(np.float16)  # NumPy copies rows of halves number by number

    def _rows(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row of each key, and whether it is there."""
        known = self._columns["key"][: self.num_rows]
        rows = np.searchsorted(known, keys)
        inside = rows < self.num_rows
        found = np.zeros(len(rows), bool)
        found[inside] = known[rows[inside]] == keys[inside]
        return rows, found

    def _has_code(self, name: str, codes: list[int]) -> np.ndarray:
        wanted = np.zeros(len(self._codes[name]) + 1, bool)  # the last one is for unknown texts
        wanted[[code for code in codes if code >= 0]] = True
        return wanted[self._columns[name][: self.num_rows]]

    def _grow(self, num_rows: int) -> None:
        if num_rows <= len(self._columns["key"]):
            return
        larger = self._reserve(2 * num_rows)
        for name, values in self._columns.items():
            larger[name][: self.num_rows] = values[: self.num_rows]
        self._columns = larger

    def _reserve(self, capacity: int) -> dict[str, Any]:
        columns: dict[str, Any] = {"key": np.empty(capacity, np.int64), "is_current": np.zeros(capacity, bool)}
        columns["price"] = np.empty(capacity)  # 64 bits, as 32 round prices of 8 digits
        columns |= {name: np.empty(capacity, np.int32) for name in _TEXTS}
        for space, dim in self.dims.items():
            columns[space] = np.empty((capacity, dim), np.float16)
            columns[f"has_{space}"] = np.zeros(capacity, bool)
        return columns


def _nearest_rows(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """(Q, k or more) int64, rows with the k best of each query; of those that are as near as the k-th all.

    Args:
        vectors: (N, D) float16.
        queries: (Q, D) float16.
    """
    count = min(k + _SPARE, len(vectors))
    while True:
        found = search(vectors, queries, count, MetricKind.IP, exact=True, threads=1)
        distances = np.asarray(found.distances).reshape(len(queries), count)
        if count == len(vectors) or (distances[:, -1] > distances[:, k - 1]).all():
            return np.asarray(found.keys, np.int64).reshape(len(queries), count)
        count = min(16 * count, len(vectors))  # a picture that stands for a missing one may be there a thousand times
