"""The tables of `benchmarks.serving.comparison`."""

import statistics

from rich.table import Table


def rate_table(title: str, rates: dict[str, list[float]]) -> Table:
    """Build the table of throughput: medians, and the median ratio to the first competitor within each round."""
    first = next(iter(rates))
    shown = Table("competitor", "products/s, median", "min", "max", f"ratio to {first}", title=title)
    for name, values in rates.items():
        shown.add_row(name, *_spread(values, ",.0f"), f"{_ratio(values, rates[first]):.2f}")
    return shown


def latency_table(title: str, rates_rps: dict[str, float], latency_ms: dict[str, dict[str, list[float]]]) -> Table:
    """Build the table of latency: medians, and the median ratio of p99 to Aisle's within each round."""
    shown = Table(
        "competitor", "requests/s", "p50 ms, median", "p99 ms, median", "min", "max", "p99, ratio to aisle",
        title=f"{title}, open loop",
    )  # fmt: skip
    for name, percentiles in latency_ms.items():
        shown.add_row(
            name,
            f"{rates_rps[name]:,.0f}",
            f"{statistics.median(percentiles['p50']):.1f}",
            *_spread(percentiles["p99"], ".1f"),
            f"{_ratio(percentiles['p99'], latency_ms['aisle']['p99']):.2f}",
        )
    return shown


def _spread(values: list[float], form: str) -> list[str]:
    return [format(value, form) for value in (statistics.median(values), min(values), max(values))]


def _ratio(values: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(values, others, strict=True))
