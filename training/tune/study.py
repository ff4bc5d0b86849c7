"""The result of a study: a row per point, averaged over seeds, as a table and as a plot."""

import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from rich.table import Table

from training.report.plots import LIGHT
from training.tune.scheduling.trial import SearchTrial
from training.tune.space.dimension import encode
from training.tune.space.space import VARIANT, Space

PLOT_FILE = "study.png"
#: The hyperparameter that each study varies.
STUDIED = {"image-size": "image_size", "fields": VARIANT, "vocabulary": VARIANT, "backbone": "backbone"}


@dataclass(frozen=True)
class StudyPoint:
    """One value of the hyperparameter that a study varies.

    Args:
        scores: the scores of its whole trials, one per seed.
        num_failed: trials without a score.
        num_cut: trials that ended before their last epoch; their scores are none of a whole training.
        num_missing: planned trials that did not begin.
        accuracy, macro_f1, latency_ms, num_parameters, images_per_s: means of the whole trials; None where not
            measured.
    """

    name: str
    scores: tuple[float, ...]
    num_failed: int
    num_cut: int
    num_missing: int
    accuracy: float | None
    macro_f1: float | None
    latency_ms: float | None
    num_parameters: float | None
    images_per_s: float | None


def study_points(trials: Sequence[SearchTrial], study: str, space: Space) -> list[StudyPoint]:
    """Group the trials by point, in the order of the space; points without a trial are among them."""
    dimensions = {dimension.key: dimension for dimension in space.dimensions}
    num_seeds = len(dimensions["seed"].values) if "seed" in dimensions else 1
    by_value: dict[str, list[SearchTrial]] = {str(encode(value)): [] for value in dimensions[STUDIED[study]].values}
    for trial in trials:
        by_value[str(trial.hyperparameters[STUDIED[study]])].append(trial)
    return [_point(name, group, num_seeds) for name, group in by_value.items()]


def missing_line(points: Sequence[StudyPoint]) -> str:
    """Say which points lack trials that were planned; '' for none."""
    counts = [(point.name, point.num_missing, point.num_cut) for point in points if point.num_missing or point.num_cut]
    if not counts:
        return ""
    parts = [f"{name} ({_counted(0, cut, missing)})" for name, missing, cut in counts]
    return f"Left out of the means and the plot: {', '.join(parts)}."


def study_table(points: Sequence[StudyPoint], study: str, objective: str) -> Table:
    """Build the table for the terminal."""
    table = Table(study, objective, "seeds", "accuracy", "macro F1", "parameters", "ms per product", "images/s")
    for point in points:
        mean = statistics.mean(point.scores) if point.scores else None
        spread = f" ({min(point.scores):.4f} to {max(point.scores):.4f})" if len(point.scores) > 1 else ""
        others = _counted(point.num_failed, point.num_cut, point.num_missing)
        table.add_row(
            point.name,
            _formatted(mean, ".4f") + spread,
            f"{len(point.scores)} and {others}" if others else str(len(point.scores)),
            _formatted(point.accuracy, ".4f"),
            _formatted(point.macro_f1, ".4f"),
            _formatted(point.num_parameters, ",.0f"),
            _formatted(point.latency_ms, ".2f"),
            _formatted(point.images_per_s, ".0f"),
        )
    return table


def study_plot(points: Sequence[StudyPoint], study: str, objective: str) -> bytes:
    """Draw a PNG with the scores of each point, a dot per seed, and the cost of an answer."""
    shown = [point for point in points if point.scores]
    figure = Figure(figsize=(9, 0.9 + 0.42 * max(2, len(shown))), dpi=160, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for row, point in enumerate(shown):
        left.plot([min(point.scores), max(point.scores)], [row, row], color=LIGHT.grid, linewidth=5, zorder=1)
        left.plot(point.scores, [row] * len(point.scores), "o", color=LIGHT.series[0], alpha=0.8, zorder=2)
        left.annotate(
            f"{statistics.mean(point.scores):.3f}",
            (max(point.scores), row),
            xytext=(8, 0),
            textcoords="offset points",
            verticalalignment="center",
            color=LIGHT.ink,
            fontsize=8,
        )
    has_pictures = all(point.images_per_s is not None for point in shown)
    costs = [(point.images_per_s if has_pictures else point.latency_ms) or 0.0 for point in shown]
    right.barh(range(len(shown)), costs, color=LIGHT.series[1], height=0.5)
    right.set_xlabel("images/s" if has_pictures else "ms per product", color=LIGHT.muted, size=9)
    left.set_xlabel(objective, color=LIGHT.muted, size=9)
    left.set_yticks(range(len(shown)), labels=[point.name for point in shown])
    left.set_title(study, loc="left", size=10, color=LIGHT.ink)
    left.margins(x=0.18)
    left.invert_yaxis()
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(LIGHT.grid)
        axes.tick_params(colors=LIGHT.muted, labelsize=8, length=0)
        axes.grid(axis="x", color=LIGHT.grid, linewidth=0.8)
        axes.set_axisbelow(True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _counted(num_failed: int, num_cut: int, num_missing: int) -> str:
    """'1 failed, 2 cut short, 1 not begun', without what is 0."""
    counts = {"failed": num_failed, "cut short": num_cut, "not begun": num_missing}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _point(name: str, trials: Sequence[SearchTrial], num_seeds: int) -> StudyPoint:
    scored = [trial for trial in trials if trial.status == "completed" and trial.score is not None]

    def mean(figure: str) -> float | None:
        known = [trial.figures[figure] for trial in scored if trial.figures.get(figure) is not None]
        return statistics.mean(known) if known else None

    return StudyPoint(
        name,
        tuple(trial.score for trial in scored if trial.score is not None),
        sum(trial.status == "failed" for trial in trials),
        sum(trial.status == "stopped" for trial in trials),
        num_seeds - len(trials) + sum(not trial.attempts for trial in trials),
        mean("joint_accuracy"),
        mean("macro_f1"),
        mean("latency_ms"),
        mean("num_parameters"),
        mean("images_per_s"),
    )


def _formatted(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
