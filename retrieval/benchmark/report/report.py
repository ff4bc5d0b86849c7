"""The benchmark's page, for three readers: a customer's sentence, a promise, and the whole table with worst cases."""

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from catalog.pictures.thumbnail import thumbnail_url
from retrieval.benchmark.benchmark import BenchmarkResult
from retrieval.benchmark.measures import query_measures
from retrieval.index.record import Attributes
from training.report.page_environment import page_environment
from training.report.plots import DARK, LIGHT, Palette, new_figure, png_bytes

TEMPLATE = "page.html.jinja"
REPORT_FILE = "report.html"
NUM_WORST = 24
_NUM_SHOWN_HITS = 5
#: Share of the queries that a promise is made for.
_PROMISED_SHARE = 0.8


@dataclass(frozen=True)
class ReportDetails:
    """The subject of a benchmark, for its page.

    Args:
        queries: catalog that asked; '' for the index's own products.
        at: ranks.
        against: another index; '' for none.
    """

    index: str
    queries: str
    space: str
    at: tuple[int, ...]
    against: str


def write_report(folder: Path, result: BenchmarkResult, figures: dict[str, Any], details: ReportDetails) -> None:
    """Write report.html, one self-contained file."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = page_environment(Path(__file__).parent)
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f} %"
    page = environment.get_template(TEMPLATE).render(
        details=details,
        figures=figures,
        customer=customer_sentence(figures, details.at),
        promise=promise(result, details.at),
        names=list(dict.fromkeys(name.partition("@")[0] for name in figures if "@" in name)),
        differences=result.differences,
        curves={name: _data_url(_curves(result, palette)) for name, palette in (("light", LIGHT), ("dark", DARK))},
        worst=[_case(result, query) for query in worst_queries(result)],
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def customer_sentence(figures: dict[str, Any], at: tuple[int, ...]) -> str:
    """Write the sentence for a customer."""
    k = next((k for k in at if k >= 3), at[-1])
    if f"accuracy@{k}" in figures:
        share = figures[f"accuracy@{k}"]
        return f"In {_out_of_ten(share)} cases the product you are looking for is among the first {k} shown."
    share = figures.get(f"same_category@{k}", 0.0)
    return f"Of the first {k} products shown, {_out_of_ten(share)} are of the kind you are looking for."


def promise(result: BenchmarkResult, at: tuple[int, ...]) -> str:
    """Write the promise: for four queries of five, how many of the first hits are right."""
    k = next((k for k in at if k >= 3), at[-1])
    name = f"same_product@{k}"
    values = result.by_query[name]
    what = "the same product"
    if np.isnan(values).all():
        values, what = result.by_query[f"same_category@{k}"], "of the same category"
    values = values[~np.isnan(values)]
    if not len(values):
        return "Nothing can be promised: the queries have neither group_id nor category."
    kept = float(np.quantile(values, 1 - _PROMISED_SHARE, method="lower"))
    count = round(kept * k)
    verb = "is" if count == 1 else "are"
    return (
        f"For {100 * _PROMISED_SHARE:.0f} % of the queries at least {count} of the first {k} {verb} {what};"
        f" over all queries {100 * float(values.mean()):.0f} % of the first {k} are."
    )


def worst_queries(result: BenchmarkResult) -> list[int]:
    """Queries with the most confident first hit that is wrong."""
    ranked = result.asked.ranked
    wrong = ranked.is_hit[:, 0] & ~ranked.is_same_product[:, 0] & (ranked.num_same_products > 0)
    scores = np.array([hits[0].score if hits else -1.0 for hits in result.asked.hits])
    order = np.argsort(np.where(wrong, -scores, np.inf), kind="stable")
    return [int(query) for query in order[: min(NUM_WORST, int(wrong.sum()))]]


def _case(result: BenchmarkResult, query: int) -> dict[str, Any]:
    record, ranked = result.asked.records[query], result.asked.ranked
    hits = result.asked.hits[query][:_NUM_SHOWN_HITS]
    return {
        "asked": _entry(record.product_id, record.attributes, 1.0, False),
        "hits": [
            _entry(hit.product_id, hit.attributes, hit.score, bool(ranked.is_same_product[query, rank]))
            for rank, hit in enumerate(hits)
        ],
    }


def _entry(product_id: str, attributes: Attributes, score: float, is_same: bool) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "name": attributes.product_name or attributes.group_id or product_id,
        "category": attributes.category,
        "score": score,
        "is_same": is_same,
        "picture": thumbnail_url(attributes.image),
    }


def _curves(result: BenchmarkResult, palette: Palette) -> bytes:
    """Share of the first k that is right, and of the queries that have one right, by k."""
    ranks = tuple(range(1, result.asked.ranked.is_hit.shape[1] + 1))
    values = query_measures(result.asked.ranked, ranks)
    figure, axes = new_figure(palette, width=6.4, height=3.4)
    for color, (name, label) in zip(
        palette.series,
        (
            ("accuracy", "any of the first k is the same product"),
            ("same_product", "share of the first k that is"),
            ("same_category", "share of the first k of the category"),
            ("recall", "share of all the same that are found"),
        ),
        strict=False,
    ):
        points = [
            float(np.nanmean(values[f"{name}@{k}"])) if not np.isnan(values[f"{name}@{k}"]).all() else math.nan
            for k in ranks
        ]
        if not all(map(math.isnan, points)):
            axes.plot(ranks, points, color=color, linewidth=1.8, label=label)
    axes.set(xlabel="first k hits", ylabel="share", ylim=(0, 1.02), xlim=(1, max(ranks[-1], 2)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8, labelcolor=palette.ink, loc="best")
    return png_bytes(figure)


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _out_of_ten(share: float) -> str:
    tenths = math.floor(10 * share)
    return (
        f"more than {100 * share:.0f} of 100" if tenths == 10 else f"{tenths} of 10" if tenths else "fewer than 1 of 10"
    )
