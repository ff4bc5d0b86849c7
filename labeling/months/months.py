"""The models of all windows of months of a catalog, and how they answer the months that follow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.months.dated_catalog import DatedCatalog
from labeling.months.month_accuracy import MonthAccuracy, month_accuracies
from labeling.months.month_curve import MonthCurve, month_curve
from labeling.months.month_fits import fit_months
from labeling.months.next_month import NextMonth, compare_windows
from labeling.months.window import thinned_windows, windows
from labeling.settings import LinearSettings, MonthSettings


@dataclass(frozen=True, eq=False)
class Months:
    """The findings in a catalog.

    Args:
        accuracies: of every model in every month that it answered.
    """

    dated: DatedCatalog
    accuracies: list[MonthAccuracy]
    curve: MonthCurve
    next_month: NextMonth


def measure_months(catalog: LabelledCatalog, months: MonthSettings, settings: LinearSettings, folder: Path) -> Months:
    """Learn from every window up to every origin, and answer the months behind it (rolling origin, Tashman 2000).

    Args:
        folder: gets the finished models' answers.
    Raises:
        LabelingError: fewer than two months can be read, the disk refused, or a process was killed.
    """
    dated = DatedCatalog.of(catalog)
    origins = {origin: dated.following(origin, months.months_ahead) for origin in dated.origins(months.origins)}
    fits = fit_months(dated, origins, [*windows(months), *thinned_windows(months)], settings, folder)
    accuracies = list(month_accuracies(dated, fits))
    curve = month_curve(accuracies, dated.distinct[0])
    return Months(dated, accuracies, curve, compare_windows(dated, fits))
