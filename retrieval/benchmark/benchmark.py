"""The retrieval benchmark: queries, what they find, and how good that is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.benchmark.measures import means, paired_interval, query_measures
from retrieval.benchmark.queries import Asked


@dataclass(frozen=True)
class BenchmarkResult:
    """Measures of a benchmark.

    Args:
        asked: queries and hits.
        by_query: measures of each query, see `query_measures`.
        differences: by measure, this minus another index: mean, and the ends of its 95 % interval.
    """

    asked: Asked
    by_query: dict[str, np.ndarray]
    differences: dict[str, tuple[float, float, float]]

    @property
    def figures(self) -> dict[str, Any]:
        """For programs: each measure's mean, and beside it what it is about."""
        return {**means(self.by_query), "num_queries": len(self.asked.records), "relevance": self.asked.relevance}

    def compared(self) -> dict[str, dict[str, float]]:
        """Differences by measure, for programs."""
        names = ("difference", "low", "high")
        return {name: dict(zip(names, values, strict=True)) for name, values in self.differences.items()}


def measure(asked: Asked, at: tuple[int, ...], other: Asked | None = None) -> BenchmarkResult:
    """Measure what queries found, and compare it with what the same queries found elsewhere.

    Args:
        at: ranks.
        other: of another index, same queries in the same order.
    """
    by_query = query_measures(asked.ranked, at)
    differences = {}
    if other is not None:
        others = query_measures(other.ranked, at)
        pairs = {name: (values, others[name]) for name, values in by_query.items() if name in others}
        differences = {name: paired_interval(*pair) for name, pair in pairs.items() if not np.isnan(pair[0]).all()}
    return BenchmarkResult(asked, by_query, differences)
