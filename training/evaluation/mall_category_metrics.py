"""Metrics by the top level of the mall's own category, to find parts of a mall with a low accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from catalog.rows import CatalogRow
from model.taxonomy import SEPARATOR

#: Most groups; malls with free text have a category for nearly every product, and further ones are not counted.
MAX_GROUPS = 20_000
NUM_REPORTED = 50
#: Groups with fewer products are not reported, because a single mistake would decide their order.
MIN_SUPPORT = 10


class MallCategoryMetrics:
    """Counts by the first level of the mall category, over a stream of rows."""

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._counts: dict[str, list[int]] = {}

    def add(self, rows: Sequence[CatalogRow], is_right: np.ndarray, is_leaf_accepted: np.ndarray) -> None:
        """Count n rows; those without a mall category are skipped.

        Args:
            is_right: (n,) bool, True where the answer is the label.
            is_leaf_accepted: (n,) bool, True where a leaf was accepted.
        """
        for row, right, accepted in zip(rows, is_right.tolist(), is_leaf_accepted.tolist(), strict=True):
            top = row.text("mall_category").split(SEPARATOR)[0].strip()
            if not top or (top not in self._counts and len(self._counts) >= self._max_groups):
                continue
            counts = self._counts.setdefault(top, [0, 0, 0, 0])
            for i, is_counted in enumerate((True, right, accepted, accepted and right)):
                counts[i] += is_counted

    def worst(self) -> list[dict[str, Any]]:
        """List the groups of ten or more products, the lowest accuracy first, at most fifty.

        Returns:
            Dicts of mall_category, count, accuracy, leaf_accepted_share and leaf_accepted_precision (None when
            none was accepted).
        """
        large = [(top, counts) for top, counts in self._counts.items() if counts[0] >= MIN_SUPPORT]
        large.sort(key=lambda group: (group[1][1] / group[1][0], -group[1][0]))
        return [
            {
                "mall_category": top,
                "count": count,
                "accuracy": num_right / count,
                "leaf_accepted_share": num_leaf_accepted / count,
                "leaf_accepted_precision": num_leaf_accepted_right / num_leaf_accepted if num_leaf_accepted else None,
            }
            for top, (count, num_right, num_leaf_accepted, num_leaf_accepted_right) in large[:NUM_REPORTED]
        ]
