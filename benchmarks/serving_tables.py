"""The tables that `benchmarks.serving` prints."""

import statistics

from rich.table import Table


def rate_table(what: str, rates: dict[str, list[float]]) -> Table:
    """Medians, and the median of the ratios to the first contender within each round."""
    first = next(iter(rates))
    shown = Table("contender", "products/s, median", "least", "most", f"ratio to {first}", title=what)
    for name, values in rates.items():
        shown.add_row(name, *_spread(values, ",.0f"), f"{_ratio(values, rates[first]):.2f}")
    return shown


def latency_table(what: str, rates_rps: dict[str, float], latency_ms: dict[str, dict[str, list[float]]]) -> Table:
    """Medians, and the median of the ratios of p99 to Aisle's within each round."""
    shown = Table(
        "contender", "requests/s", "p50 ms, median", "p99 ms, median", "least", "most", "p99, ratio to aisle",
        title=f"{what}, open loop",
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
