"""The seam between the search and whatever keeps the vectors: records in, hits out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from retrieval.index.description import IndexDescription, IndexEngineName
from retrieval.index.filter import ProductFilter
from retrieval.index.record import Hit, IndexRecord, Space

NO_FILTER = ProductFilter()


@dataclass(frozen=True)
class SpaceStatistics:
    """Counts of one space of an index.

    Args:
        dim: numbers in a vector.
        num_vectors: products that have one.
        recall: share of the ten nearest that a search without a filter finds, as measured when the index was made.
    """

    dim: int
    num_vectors: int
    recall: float


class IndexEngine(Protocol):
    """Keeps records and finds those whose vectors are near. Thread-safe.

    Attributes:
        name: the engine's IndexEngineName.
        description: what the index says of itself.
    """

    name: IndexEngineName
    description: IndexDescription

    def __len__(self) -> int:
        """Products in the index."""
        ...

    def upsert(self, records: Sequence[IndexRecord]) -> None:
        """Insert records, or put them in the place of those with the same id; of an id given twice the last counts.

        All of them or none; they are on disk when this returns.

        Raises:
            VectorIndexError: the disk or database refused; nothing has changed.
        """
        ...

    def delete(self, product_ids: Sequence[str]) -> int:
        """Remove products, all of them or none; ids that are not there do not count.

        Returns:
            how many were there.
        Raises:
            VectorIndexError: the disk or database refused; nothing has changed.
        """
        ...

    def get(self, product_ids: Sequence[str]) -> list[IndexRecord | None]:
        """Records by id, None for one that is not there, in order."""
        ...

    def search(
        self, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter = NO_FILTER
    ) -> list[list[Hit]]:
        """The nearest products of each vector, best first; fewer than k where no more meet the condition.

        Args:
            vectors: (Q, D) float32 of unit length.
        Raises:
            VectorIndexError: the index has no such space, or the database cannot be reached.
        """
        ...

    def scan(self) -> Iterator[IndexRecord]:
        """Every record, in the order in which they were last written."""
        ...

    def statistics(self) -> dict[Space, SpaceStatistics]:
        """Return counts by space."""
        ...

    def close(self) -> None:
        """Save what speeds up the next opening, and free everything."""
        ...
