"""The plot of latency over rate."""

from pathlib import Path

from aisle_client.errors import InputError
from client.load.summary import Summary

_CURVES = ("p50", "p95", "p99")


def draw_curve(summaries: list[Summary], path: Path) -> None:
    """Plot latency over the achieved rate, a curve per percentile; runs without an answer have no point.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure  # takes a second to import, and only a sweep needs it

    answered = [summary for summary in summaries if summary.phases_ms]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name in _CURVES:
        axes.plot(
            [summary.achieved_rps for summary in answered],
            [summary.phases_ms["total"][name] for summary in answered],
            marker="o",
            label=name,
        )
    axes.set(xlabel="answered requests per second", ylabel="latency, ms", yscale="log", xlim=(0, None))
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=150, format="png")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
