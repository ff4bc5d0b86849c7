"""The ladder's page: the rungs beside each other, and the groups that the best of them found worst."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog.pictures.thumbnail import thumbnail_url
from retrieval.ladder.ladder import RungResult
from retrieval.ladder.pool import Pool
from training.report.page_environment import page_environment

TEMPLATE = "page.html.jinja"
REPORT_FILE = "report.html"
_NUM_WORST = 24
_NUM_SHOWN = 5


def write_report(
    folder: Path, catalog: str, figures: dict[str, Any], pool: Pool, results: Sequence[RungResult]
) -> None:
    """Write report.html, one self-contained file.

    Args:
        figures: see `Ladder.figures`.
        pool: the offers that were measured on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = page_environment(Path(__file__).parent)
    measured = [result for result in results if result.score is not None]
    best = max(measured, key=lambda result: result.score.f1 if result.score else 0.0)
    sizes = sorted({size for result in measured if result.score for size in result.score.by_group_size})
    page = environment.get_template(TEMPLATE).render(
        catalog=catalog,
        figures=figures,
        results=results,
        best=best,
        sizes=sizes,
        worst=[_case(pool, best, offer) for offer in worst_offers(pool, best)],
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def worst_offers(pool: Pool, result: RungResult) -> list[int]:
    """Offers with the lowest F1, one of each group, the worst first."""
    if result.score is None:
        return []
    order = np.argsort(result.score.by_offer, kind="stable")
    order = order[result.score.by_offer[order] < 1]
    _, firsts = np.unique(pool.groups[order], return_index=True)
    return [int(offer) for offer in order[np.sort(firsts)][:_NUM_WORST]]


def _case(pool: Pool, result: RungResult, offer: int) -> dict[str, Any]:
    """An offer with those that were missed, and those that were called the same and are not."""
    beside = result.called[(result.called == offer).any(axis=1)]
    called = np.setdiff1d(beside, [offer])
    group = np.setdiff1d(np.flatnonzero(pool.groups == pool.groups[offer]), [offer])
    others = {
        "missed": np.setdiff1d(group, called),
        "wrong": np.setdiff1d(called, group),
        "right": np.intersect1d(called, group),
    }
    shown = [(kind, int(other)) for kind, found in others.items() for other in found]
    return {
        "asked": _entry(pool, offer),
        "others": [{"kind": kind, **_entry(pool, other)} for kind, other in shown[:_NUM_SHOWN]],
    }


def _entry(pool: Pool, position: int) -> dict[str, Any]:
    offer = pool.offers[position]
    name = offer.product_name or pool.product_ids[position]
    return {"name": name, "seller": offer.mall or offer.source, "picture": thumbnail_url(offer.image)}
