"""The summary of a run, as JSON and as a table."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from client.load.outcomes import Outcomes

PERCENTILES = (50.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Summary:
    """The figures of one run.

    Args:
        offered_rps: requests due per second; None in closed loop.
        concurrency: callers of a closed loop; None in open loop.
        achieved_rps: answers per second, errors not counted.
        num_requests: requests due in the measured time.
        num_failed_products: products in answers that had an error of their own.
        errors: gRPC code to number of requests.
        phases_ms: phase to percentile ("p50", ... "max") to milliseconds, over answered requests; empty without any.
    """

    offered_rps: float | None
    concurrency: int | None
    achieved_rps: float
    achieved_products_per_s: float
    num_requests: int
    num_failed_products: int
    errors: dict[str, int]
    phases_ms: dict[str, dict[str, float]]

    @property
    def title(self) -> str:
        """A title that distinguishes the run from others."""
        return f"{self.offered_rps:g} requests/s" if self.concurrency is None else f"{self.concurrency} callers"

    def json(self) -> dict[str, Any]:
        """Return the figures as an object of JSON."""
        return asdict(self)


def summarize(outcomes: Outcomes, offered_rps: float | None, concurrency: int | None) -> Summary:
    """Compute the summary of a run."""
    return Summary(
        offered_rps=offered_rps,
        concurrency=concurrency,
        achieved_rps=outcomes.achieved_rps(),
        achieved_products_per_s=outcomes.achieved_products_per_s(),
        num_requests=outcomes.num_measured(),
        num_failed_products=outcomes.num_failed_products(),
        errors=outcomes.errors(),
        phases_ms={name: _percentiles(values) for name, values in outcomes.phases_ms().items() if len(values)},
    )


def summary_table(summary: Summary) -> Table:
    """Build the table of a run, a row per phase."""
    table = Table(title=summary.title, title_justify="left")
    table.add_column("ms")
    columns = [*map(_percentile_name, PERCENTILES), "max"]
    for column in columns:
        table.add_column(column, justify="right")
    for phase, values in summary.phases_ms.items():
        table.add_row(phase.replace("_", " "), *(f"{values[column]:.2f}" for column in columns))
    return table


def summary_lines(summary: Summary) -> list[str]:
    """Return the lines to print below the table: counts, rates and errors."""
    lines = [
        f"{summary.num_requests} requests; answered {summary.achieved_rps:.1f} requests/s,"
        f" {summary.achieved_products_per_s:.1f} products/s"
    ]
    if summary.num_failed_products:
        lines.append(f"products with an error of their own: {summary.num_failed_products}")
    return lines + [f"{code}: {count} requests" for code, count in summary.errors.items()]


def curve_table(summaries: list[Summary]) -> Table:
    """Build the table of all runs, a row per run: offered and achieved rate, latency and errors."""
    table = Table(title="latency over rate", title_justify="left")
    for column in ("offered/s", "achieved/s", "products/s", "p50 ms", "p95 ms", "p99 ms", "errors"):
        table.add_column(column, justify="right")
    for summary in summaries:
        total = summary.phases_ms.get("total", {})
        table.add_row(
            f"{summary.offered_rps:g}",
            f"{summary.achieved_rps:.1f}",
            f"{summary.achieved_products_per_s:.1f}",
            *(f"{total[name]:.2f}" if total else "none" for name in ("p50", "p95", "p99")),
            str(sum(summary.errors.values())),
        )
    return table


def _percentiles(values: np.ndarray) -> dict[str, float]:
    figures = {_percentile_name(percentile): float(np.percentile(values, percentile)) for percentile in PERCENTILES}
    return figures | {"max": float(values.max())}


def _percentile_name(percentile: float) -> str:
    return f"p{percentile:g}"
