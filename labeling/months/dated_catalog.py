"""A labelled catalog whose rows say in which month they were listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catalog.months import month_number
from labeling.answers.labelled_catalog import LabelledCatalog
from model.errors import LabelingError


@dataclass(frozen=True, eq=False)
class DatedCatalog:
    """The rows of a catalog by month.

    Args:
        months: (N,) int64, the number of each row's month, see `catalog.months`; -1 where it names none.
    """

    catalog: LabelledCatalog
    months: np.ndarray

    @classmethod
    def of(cls, catalog: LabelledCatalog) -> DatedCatalog:
        """Read the months.

        Raises:
            LabelingError: fewer than two months can be read.
        """
        texts = catalog.parsed.offer_column("month")
        written = [texts[row] for row in catalog.encoded.arrays["rows"].tolist()]
        read = [month_number(text) for text in written]
        months = np.array([-1 if month is None else month for month in read], np.int64)
        dated = cls(catalog, months)
        if len(dated.distinct) < 2:
            unread = next((text for text, month in zip(written, read, strict=True) if text and month is None), "")
            example = f", but {unread!r}" if unread else ""
            raise LabelingError(
                f"{catalog.parsed.path}: expected products of two months or more, found"
                f" {len(dated.distinct)} months in {len(months):,} products{example}; write months as 2026-03, or name"
                " the heading with --columns month=HEADING"
            )
        return dated

    @property
    def distinct(self) -> list[int]:
        """The months that have products, ascending."""
        return [int(month) for month in np.unique(self.months[self.months >= 0])]

    @property
    def num_undated(self) -> int:
        """Rows whose month cannot be read."""
        return int((self.months < 0).sum())

    def rows_of(self, month: int) -> np.ndarray:
        """The rows of a month, ascending."""
        return np.flatnonzero(self.months == month)

    def origins(self, count: int) -> list[int]:
        """The last months that another month follows, ascending.

        Args:
            count: how many at most; 0 is all.
        """
        return self.distinct[:-1][-count:]

    def following(self, origin: int, count: int) -> list[int]:
        """The next months that have products."""
        return [month for month in self.distinct if month > origin][:count]
