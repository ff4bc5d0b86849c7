"""The curve of single-month against multi-month training: accuracy in the next month by months learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labeling.months.month_accuracy import MonthAccuracy
from labeling.months.window import Window


@dataclass(frozen=True)
class CurvePoint:
    """Models of one window, over the same origins for all windows.

    Args:
        num_months: mean number of months in the window.
        trained_products: mean.
        accuracy, standard_error: in the next month, all products together.
    """

    window: Window
    num_months: float
    trained_products: float
    accuracy: float
    standard_error: float


@dataclass(frozen=True)
class MonthCurve:
    """Two lines over the number of months, from one month on.

    Args:
        all_rows: more months are more rows.
        same_rows: as many rows as the last month has, so that only their age differs.
    """

    all_rows: list[CurvePoint]
    same_rows: list[CurvePoint]


def month_curve(accuracies: Sequence[MonthAccuracy], first_month: int) -> MonthCurve:
    """Average the windows without half-life over origins.

    Only origins count that have as many months before them as the longest window, or where none has, as the last one.

    Args:
        first_month: of the catalog.
    """
    nearest = [one for one in _nearest(accuracies) if not one.window.half_life_months]
    longest = max(one.window.num_months for one in nearest)
    last = max(one.origin for one in nearest)
    least = min(longest, last - first_month + 1)
    by_window: dict[Window, list[MonthAccuracy]] = {}
    for one in nearest:
        if one.origin - first_month + 1 >= least:
            by_window.setdefault(one.window, []).append(one)
    points = [_point(window, found, first_month) for window, found in by_window.items()]
    all_rows = [point for point in points if not point.window.is_thinned]
    same_rows = [point for point in points if point.window.is_thinned or point.window == Window(1)]
    return MonthCurve(all_rows, same_rows)


def _nearest(accuracies: Sequence[MonthAccuracy]) -> list[MonthAccuracy]:
    """The accuracies of the month right after each origin."""
    first = {origin: min(one.month for one in accuracies if one.origin == origin) for origin in _origins(accuracies)}
    return [one for one in accuracies if one.month == first[one.origin]]


def _origins(accuracies: Sequence[MonthAccuracy]) -> set[int]:
    return {one.origin for one in accuracies}


def _point(window: Window, found: Sequence[MonthAccuracy], first_month: int) -> CurvePoint:
    products = np.array([one.products for one in found], np.float64)
    shares = products / products.sum()
    lengths = [one.origin - first_month + 1 for one in found]
    months = [min(length, window.num_months or length) for length in lengths]
    return CurvePoint(
        window,
        float(np.mean(months)),
        float(np.mean([one.trained_products for one in found])),
        float(np.sum(shares * [one.accuracy for one in found])),
        float(np.sqrt(np.sum((shares * [one.standard_error for one in found]) ** 2))),
    )
