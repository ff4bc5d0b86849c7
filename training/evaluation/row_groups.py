"""The groups of a stream of rows: by mall, month, brand, maker, and the top of the mall's own category."""

from collections.abc import Callable, Sequence

import numpy as np

from catalog.months import month_name, month_number
from catalog.rows import CatalogRow
from model.taxonomy import SEPARATOR
from training.evaluation.mall_category_metrics import MAX_GROUPS
from training.metrics.groups import Grouping


def _month(row: CatalogRow) -> str:
    number = month_number(row.offer_text("month"))
    return "" if number is None else month_name(number)


_GROUPINGS: dict[str, Callable[[CatalogRow], str]] = {
    "mall": lambda row: row.offer_text("mall"),
    "month": _month,
    "brand": lambda row: row.text("brand").strip(),
    "maker": lambda row: row.text("maker").strip(),
    "mall_category": lambda row: row.text("mall_category").split(SEPARATOR)[0].strip(),
}


class RowGroups:
    """Numbers the groups of rows as they come.

    Args:
        max_groups: of a grouping; rows of further ones are in no group.
    """

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._names: dict[str, dict[str, int]] = {grouping: {} for grouping in _GROUPINGS}
        self._numbers: dict[str, list[np.ndarray]] = {grouping: [] for grouping in _GROUPINGS}

    def add(self, rows: Sequence[CatalogRow]) -> None:
        """Add n rows."""
        for grouping, value_of in _GROUPINGS.items():
            numbers = [self._number(self._names[grouping], value_of(row)) for row in rows]
            self._numbers[grouping].append(np.array(numbers, np.int32))

    def groupings(self) -> dict[str, Grouping]:
        """The groups of all rows so far, one row or more."""
        return {name: Grouping(list(self._names[name]), np.concatenate(self._numbers[name])) for name in _GROUPINGS}

    def _number(self, names: dict[str, int], value: str) -> int:
        if not value or (value not in names and len(names) >= self._max_groups):
            return -1
        return names.setdefault(value, len(names))
