"""Results by the mall's own top-level category: which part of which mall does the model not understand?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from catalog.rows import CatalogRow
from model.taxonomy import SEPARATOR

#: Malls that write free text have a category for nearly every product; beyond so many, new ones are not counted.
MAX_GROUPS = 20_000
NUM_REPORTED = 50
#: Of fewer products one mistake would decide the order.
MIN_SUPPORT = 10


class MallCategoryMetrics:
    """Counts by the first level of the mall category, over a stream of rows.

    A catalog names no mall, so the mall's own shelves stand in for it.
    """

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._counts: dict[str, list[int]] = {}

    def add(self, rows: Sequence[CatalogRow], is_right: np.ndarray, is_leaf_accepted: np.ndarray) -> None:
        """Count n rows; rows without a mall category belong to none.

        Args:
            is_right: (n,) bool, whether the first answer is the label.
            is_leaf_accepted: (n,) bool, whether a leaf was accepted.
        """
        for row, right, placed in zip(rows, is_right.tolist(), is_leaf_accepted.tolist(), strict=True):
            top = row.text("mall_category").split(SEPARATOR)[0].strip()
            if not top or (top not in self._counts and len(self._counts) >= self._max_groups):
                continue
            counts = self._counts.setdefault(top, [0, 0, 0, 0])
            for i, is_counted in enumerate((True, right, placed, placed and right)):
                counts[i] += is_counted

    def worst(self) -> list[dict[str, Any]]:
        """The groups of ten products and more, least accurate first, at most fifty.

        Returns:
            dicts of mall_category, count, accuracy, leaf_accepted_share and leaf_accepted_precision (None where
            none was placed).
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
