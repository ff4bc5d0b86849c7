"""Plots of the report, each returned as PNG bytes.

They contain only ASCII text, because matplotlib's own font has no Hangul; category names are in the HTML page.
"""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.metrics.confidence import ReliabilityBins, RiskCoverage, coverage_at_precision
from training.report.contract_text import percent, target_text

Measure = Literal["loss", "accuracy"]
MEASURES: tuple[Measure, ...] = ("loss", "accuracy")
DOTS_PER_INCH = 180
#: A curve with more points looks the same.
MAX_CURVE_POINTS = 2000
#: Precision over a smaller share of the rows is noise and would stretch the axis.
MIN_CURVE_COVERAGE = 0.02
DASHED = (0, (4, 3))
#: Two-sided 95 % of a normal distribution.
Z_95 = 1.96


@dataclass(frozen=True)
class Palette:
    """The colours of a plot.

    Args:
        surface: background.
        ink, muted, grid: text, secondary text and lines.
        series: colours of lines and bars, distinguishable by colour-blind readers.
    """

    surface: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]


LIGHT = Palette("#ffffff", "#1d2530", "#5d6878", "#e3e7ec", ("#0b7a75", "#c2570c", "#4c51bf", "#a21c6b", "#8f6b00"))
DARK = Palette("#171d26", "#e8ecf1", "#9aa6b6", "#2c3542", ("#3cc9bf", "#f59b51", "#9fa8ff", "#ee8fc4", "#e2c14c"))


def reliability_plot(bins: ReliabilityBins, palette: Palette = LIGHT) -> bytes:
    """Plot accuracy over confidence; on the diagonal the model is calibrated."""
    figure, axes = new_figure(palette, width=4.4, height=4.0)
    axes.plot([0, 1], [0, 1], color=palette.muted, linewidth=1, linestyle=DASHED)
    low, high = _wilson_interval(bins.accuracies, bins.counts)
    axes.vlines(bins.confidences, low, high, color=palette.series[0], alpha=0.45, linewidth=2)
    axes.plot(bins.confidences, bins.accuracies, color=palette.series[0], marker="o", markersize=5, linewidth=1.5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")
    _percent(axes, "xy")
    return png_bytes(figure)


def risk_coverage_plot(curve: RiskCoverage, precision_target: float, palette: Palette = LIGHT) -> bytes:
    """Plot the precision of the most confident answers over the share accepted."""
    figure, axes = new_figure(palette, width=4.8, height=3.7)
    shown = curve.coverages >= MIN_CURVE_COVERAGE
    coverages, precisions = curve.coverages[shown], curve.precisions[shown]
    points = np.unique(np.linspace(0, max(0, len(coverages) - 1), MAX_CURVE_POINTS).astype(int))[: len(coverages)]
    axes.plot(coverages[points], precisions[points], color=palette.series[0], linewidth=2)
    axes.axhline(precision_target, color=palette.series[1], linewidth=1, linestyle=DASHED)
    axes.annotate(
        f"target {target_text(precision_target)}",
        (0.015, precision_target),
        xytext=(0, -4),
        textcoords="offset points",
        color=palette.series[1],
        fontsize=8,
        verticalalignment="top",
    )
    reached = coverage_at_precision(curve, precision_target)
    if reached:
        axes.plot([reached], [precision_target], marker="o", markersize=6, color=palette.series[1])
    lowest = min([precision_target, *precisions.tolist()])
    axes.set(xlim=(0, 1.01), ylim=(max(0.0, lowest - 0.1 * (1 - lowest) - 0.005), 1.002))
    axes.set(xlabel="share accepted, most confident first", ylabel="share of these that is right")
    _percent(axes, "xy")
    return png_bytes(figure)


def accuracy_bars_plot(accuracies: Mapping[str, float | None], palette: Palette = LIGHT) -> bytes:
    """Plot one bar per level or head, top to bottom in the given order; None is drawn as `no products`.

    Args:
        accuracies: ASCII name to accuracy, 0 to 1.
    """
    figure, axes = new_figure(palette, width=4.2, height=0.3 + 0.44 * max(1, len(accuracies)))
    positions = np.arange(len(accuracies))
    axes.barh(positions, np.ones(len(accuracies)), color=palette.grid, height=0.62)
    axes.barh(positions, [value or 0.0 for value in accuracies.values()], color=palette.series[0], height=0.62)
    for position, value in zip(positions, accuracies.values(), strict=True):
        label = "no products" if value is None else percent(value)
        axes.text(1.02, float(position), label, color=palette.ink, fontsize=9, verticalalignment="center")
    axes.set_yticks(positions, labels=list(accuracies))
    axes.set(xlim=(0, 1), ylim=(max(1, len(accuracies)) - 0.5, -0.5))
    axes.tick_params(axis="y", labelcolor=palette.ink, labelsize=9)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return png_bytes(figure)


def has_learning_curves(history: Sequence[Mapping[str, Any]], measure: Measure) -> bool:
    """Return True when there are values for `learning_curves_plot`."""
    return bool(_series(history, measure))


def learning_curves_plot(history: Sequence[Mapping[str, Any]], measure: Measure, palette: Palette = LIGHT) -> bytes:
    """Plot loss or accuracy per epoch; a colour per head, training solid and validation dashed.

    Args:
        history: a dict per epoch. `loss`, `val_loss`, `<head>_loss`, `val_<head>_accuracy` and so on are plotted,
            other names are not; `epoch` is the x value if given, else epochs count from 1.
    """
    series = _series(history, measure)
    heads = list(dict.fromkeys(head for other in MEASURES for _, head in _series(history, other)))
    colors = {head: palette.series[i % len(palette.series)] for i, head in enumerate(heads)}
    figure, axes = new_figure(palette, width=4.8, height=3.9)
    for (is_val, head), (epochs, values) in series.items():
        style = DASHED if is_val else "solid"
        axes.plot(epochs, values, color=colors[head], linestyle=style, marker="o", markersize=3, linewidth=1.6)
    handles = {head.replace("_", " ") or "all heads": Line2D([], [], color=colors[head]) for _, head in series}
    if any(is_val for is_val, _ in series):
        handles["validation"] = Line2D([], [], color=palette.muted, linestyle=DASHED)
    axes.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, labelcolor=palette.ink)
    axes.set(xlabel="epoch", ylabel=measure)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if measure == "accuracy":
        _percent(axes, "y")
    return png_bytes(figure)


def _series(
    history: Sequence[Mapping[str, Any]], measure: Measure
) -> dict[tuple[bool, str], tuple[list[float], list[float]]]:
    """Collect the finite values of one measure: {(is validation, head or ''): (epochs, values)}."""
    series: dict[tuple[bool, str], tuple[list[float], list[float]]] = {}
    for number, row in enumerate(history, start=1):
        for name, value in row.items():
            base = name.removeprefix("val_")
            is_drawn = base == measure or base.endswith(f"_{measure}")
            if is_drawn and isinstance(value, int | float) and math.isfinite(value):
                key = (base != name, base.removesuffix(measure).removesuffix("_"))
                epochs, values = series.setdefault(key, ([], []))
                epochs.append(row.get("epoch", number))
                values.append(value)
    return series


def _wilson_interval(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the 95 % interval of shares of `counts` rows each (Wilson 1927)."""
    spread = Z_95**2 / counts
    middle = (shares + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * np.sqrt(shares * (1 - shares) / counts + spread / counts / 4)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def new_figure(palette: Palette, width: float, height: float) -> tuple[Figure, Axes]:
    """Create a figure, size in inches, without pyplot, which has global state and is not thread-safe."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor=palette.surface, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor(palette.surface)
    axes.grid(color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(palette.grid)
    axes.tick_params(colors=palette.muted, labelsize=8, length=0)
    axes.xaxis.label.set(color=palette.muted, size=9)
    axes.yaxis.label.set(color=palette.muted, size=9)
    return figure, axes


def _percent(axes: Axes, which: Iterable[str]) -> None:
    if "x" in which:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if "y" in which:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    """A picture as it stands in a self-contained page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
