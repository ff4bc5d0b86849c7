"""The product ids seen so far, 8 bytes each."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

#: A long number as spreadsheets save it: 8.8E+12.
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
_ROUNDED_SHARE = 0.5


def rounded_id(product_ids: Sequence[str]) -> str:
    """An id that a spreadsheet has rounded, where most are and several have become the same; '' otherwise."""
    rounded = [product_id for product_id in product_ids if _ROUNDED.fullmatch(product_id)]
    is_destroyed = len(rounded) > len(set(rounded)) and len(rounded) >= _ROUNDED_SHARE * len(product_ids)
    return rounded[0] if is_destroyed else ""


class ProductIds:
    """A growing set of ids, kept as 64-bit hashes in sorted runs whose lengths fall like a binary counter.

    Two of 10 million ids share a hash with a chance of 3 in a million; a Python set of them takes a gigabyte.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, product_ids: Sequence[str]) -> np.ndarray:
        """Add a chunk of N ids.

        Returns:
            (N,) bool, True where the id was not there before, neither in the set nor earlier in the chunk.
        """
        is_new = np.zeros(len(product_ids), bool)
        hashes, first_rows = np.unique(_hashes(product_ids), return_index=True)
        is_unseen = np.ones(len(hashes), bool)
        for run in self._runs:
            positions = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            is_unseen &= run[positions] != hashes
        is_new[first_rows[is_unseen]] = True
        self._add_run(hashes[is_unseen])
        return is_new

    def _add_run(self, run: np.ndarray) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")  # merges two sorted runs in linear time
        self._runs.append(run)


def _hashes(product_ids: Sequence[str]) -> np.ndarray:
    return np.frombuffer(b"".join(blake2b(i.encode(), digest_size=8).digest() for i in product_ids), np.uint64)
