"""The page about duplicates: the pairs that would change most, with what spoke for and against each."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalog.pictures.thumbnail import thumbnail_url
from retrieval.index.record import Attributes
from retrieval.matching.duplicates import Duplicates
from retrieval.matching.matcher.explanation import group_contributions
from retrieval.matching.matcher.matcher import PairScorer
from training.report.page_environment import page_environment

TEMPLATE = "page.html.jinja"
REPORT_FILE = "report.html"
_NUM_SHOWN = 40
#: Prices of one product that differ by less are usual.
_LEAST_PRICE_RATIO = 1.1
_LEAST_LOG_ODDS = 0.1


@dataclass(frozen=True)
class ReportDetails:
    """The subject of the page.

    Args:
        learned_from: where the matcher's labels are from.
        threshold: probability from which a pair is surely the same.
        precision: share of such pairs that is promised to be right.
    """

    catalog: str
    learned_from: str
    threshold: float
    precision: float


def write_report(folder: Path, scorer: PairScorer, found: Duplicates, details: ReportDetails) -> None:
    """Write report.html, one self-contained file."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = page_environment(Path(__file__).parent)
    sure = found.probabilities >= details.threshold
    categories = category_changes(scorer, found.pairs, sure)
    categories.sort(key=lambda number: -found.probabilities[number])
    prices = price_changes(scorer, found.pairs, sure)
    sizes = [len(group.members) for group in found.groups]
    page = environment.get_template(TEMPLATE).render(
        details=details,
        num_offers=len(scorer.table),
        num_compared=found.num_compared,
        num_groups=len(sizes),
        num_grouped=sum(sizes),
        num_sure=int(sure.sum()),
        num_unsure=int(((found.probabilities >= 1 - details.threshold) & ~sure).sum()),
        sizes=[(size, sizes.count(size)) for size in sorted(set(sizes))],
        categories={"num": len(categories), "pairs": _shown(scorer, found, categories[:_NUM_SHOWN])},
        prices={"num": len(prices), "pairs": _shown(scorer, found, prices[:_NUM_SHOWN])},
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def category_changes(scorer: PairScorer, pairs: np.ndarray, sure: np.ndarray) -> list[int]:
    """Sure pairs whose offers lie in different categories: one of the two is on a wrong shelf."""
    categories = [offer.category for offer in scorer.table.offers]
    return [number for number in np.flatnonzero(sure).tolist() if _differ(*(categories[p] for p in pairs[number]))]


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def price_changes(scorer: PairScorer, pairs: np.ndarray, sure: np.ndarray) -> list[int]:
    """Sure pairs whose prices differ, the largest ratio first."""
    ratios = {number: _price_ratio(scorer, pairs[number]) for number in np.flatnonzero(sure).tolist()}
    found = [number for number, ratio in ratios.items() if ratio >= _LEAST_PRICE_RATIO]
    return sorted(found, key=lambda number: -ratios[number])


def _price_ratio(scorer: PairScorer, pair: np.ndarray) -> float:
    """Ratio of the dearer offer's price to the other's; 1 where a price is unknown."""
    prices = sorted(scorer.table.offers[position].price for position in pair)
    return prices[1] / prices[0] if all(math.isfinite(price) and price > 0 for price in prices) else 1.0


def _shown(scorer: PairScorer, found: Duplicates, chosen: list[int]) -> list[dict[str, Any]]:
    """Pairs as the page draws them."""
    if not chosen:
        return []
    left, right = found.pairs[chosen].T
    groups = group_contributions(scorer.matcher, scorer.features(left, right))
    return [
        {
            "probability": float(found.probabilities[number]),
            "ratio": _price_ratio(scorer, found.pairs[number]),
            "sides": [_side(scorer.table.offers[p], scorer.table.product_ids[p]) for p in found.pairs[number]],
            "reasons": _reasons({name: float(values[row]) for name, values in groups.items()}),
        }
        for row, number in enumerate(chosen)
    ]


def _side(offer: Attributes, product_id: str) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "name": offer.product_name,
        "category": offer.category,
        "mall": offer.mall or offer.source,
        "price": None if math.isnan(offer.price) else offer.price,
        "picture": thumbnail_url(offer.image),
    }


def _reasons(contributions: dict[str, float]) -> list[dict[str, Any]]:
    """Groups of features by how much they say, with the length of their bar in percent."""
    named = sorted(contributions.items(), key=lambda entry: -abs(entry[1]))
    kept = [(name, value) for name, value in named if abs(value) >= _LEAST_LOG_ODDS]
    longest = max((abs(value) for _, value in kept), default=1.0)
    return [{"name": name, "value": value, "share": 100 * abs(value) / longest} for name, value in kept]
