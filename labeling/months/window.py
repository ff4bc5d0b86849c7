"""The months that a model learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.months.dated_catalog import DatedCatalog
from labeling.settings import MonthSettings


@dataclass(frozen=True)
class Window:
    """A rule by which rows up to a month are chosen.

    Args:
        num_months: the last ones; 0 is all.
        half_life_months: age at which a row counts half; 0 counts all the same.
        is_thinned: as many rows as the last month has, drawn from all months of the window, so that newer rows are
            not more rows at the same time.
    """

    num_months: int
    half_life_months: float = 0.0
    is_thinned: bool = False

    @property
    def name(self) -> str:
        """Words for people."""
        if not self.num_months and not self.half_life_months:
            return "all months"
        number = self.half_life_months or self.num_months
        months = "1 month" if number == 1 else f"{number:g} months"
        return f"half-life {months}" if self.half_life_months else months

    @property
    def flags(self) -> str:
        """The flags by which `training train` chooses rows in this way; '' for all."""
        if self.half_life_months:
            return f"--half-life-months {self.half_life_months:g}"
        return f"--window-months {self.num_months}" if self.num_months else ""

    def first_month(self, dated: DatedCatalog, origin: int) -> int:
        """The first month in the window that has products."""
        return next(month for month in dated.distinct if not self.num_months or month > origin - self.num_months)

    def rows(self, dated: DatedCatalog, origin: int, seed: int) -> np.ndarray:
        """The rows to learn from, ascending.

        Args:
            origin: the last month.
            seed: of the draw where it is thinned.
        """
        months = dated.months
        chosen = np.flatnonzero((months >= self.first_month(dated, origin)) & (months <= origin))
        if not self.is_thinned:
            return chosen
        draw = np.random.default_rng([seed, origin])
        return np.sort(draw.permutation(chosen)[: len(dated.rows_of(origin))])

    def weights(self, dated: DatedCatalog, origin: int, rows: np.ndarray) -> np.ndarray | None:
        """(len(rows),) float64 by age, 1 in the last month; None where all count the same."""
        if not self.half_life_months:
            return None
        return np.asarray(0.5 ** ((origin - dated.months[rows]) / self.half_life_months))


#: What a model is trained on where nothing is said.
ALL_MONTHS = Window(0)


def windows(settings: MonthSettings) -> list[Window]:
    """The windows to measure: by length, all months last, then by half-life."""
    lengths = sorted({window for window in settings.windows if window})
    return [*map(Window, lengths), ALL_MONTHS, *(Window(0, months) for months in sorted(set(settings.half_lives)))]


def thinned_windows(settings: MonthSettings) -> list[Window]:
    """The windows of more than one month, with as many rows as their last month has."""
    lengths = sorted({window for window in settings.windows if window > 1})
    return [Window(length, is_thinned=True) for length in (*lengths, 0)]
