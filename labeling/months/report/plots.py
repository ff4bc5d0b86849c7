"""The plots of the page about months; ASCII only, see `training.report.plots`."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from labeling.months.month_accuracy import MonthAccuracy
from labeling.months.month_curve import CurvePoint, MonthCurve
from labeling.months.window import Window
from training.report.plots import DASHED, Palette, new_figure, png_bytes


def months_ahead_plot(accuracies: Sequence[MonthAccuracy], palette: Palette) -> bytes:
    """Plot accuracy over months ahead, a line a window; at each point products of all origins together."""
    figure, axes = new_figure(palette, width=5.6, height=3.9)
    by_window: dict[Window, list[MonthAccuracy]] = {}
    for one in accuracies:
        if not one.window.is_thinned:
            by_window.setdefault(one.window, []).append(one)
    for number, (window, found) in enumerate(by_window.items()):
        ahead = np.array([one.months_ahead for one in found])
        products = np.array([one.products for one in found], np.float64)
        right = products * [one.accuracy for one in found]
        steps = np.unique(ahead)
        values = [right[ahead == step].sum() / products[ahead == step].sum() for step in steps]
        color = palette.series[number % len(palette.series)]
        style = DASHED if window.half_life_months else "solid"
        axes.plot(
            steps, values, color=color, linestyle=style, marker="o", markersize=4, linewidth=1.6, label=window.name
        )
    axes.set(xlabel="months ahead", ylabel="products that are right")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _finish(axes, palette)
    return png_bytes(figure)


def curve_plot(curve: MonthCurve, palette: Palette) -> bytes:
    """Plot accuracy in the next month over the months learned from, with standard errors."""
    figure, axes = new_figure(palette, width=5.6, height=3.9)
    _line(axes, curve.all_rows, palette.series[0], "solid", "all rows of these months")
    if len(curve.same_rows) > 1:
        _line(axes, curve.same_rows, palette.series[1], DASHED, "as many rows as the last month")
    axes.set(xlabel="months learned from", ylabel="products of the next month that are right")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _finish(axes, palette)
    return png_bytes(figure)


def _line(axes: Axes, points: Sequence[CurvePoint], color: str, style: object, label: str) -> None:
    axes.errorbar(
        [point.num_months for point in points],
        [point.accuracy for point in points],
        [point.standard_error for point in points],
        color=color, linestyle=style, marker="o", markersize=5, linewidth=1.6, elinewidth=1, label=label,
    )  # fmt: skip


def _finish(axes: Axes, palette: Palette) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.legend(frameon=False, fontsize=8, labelcolor=palette.ink)
