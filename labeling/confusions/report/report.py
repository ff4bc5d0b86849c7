"""The page about categories that are not distinguished: what to do about them, and how undecided each is."""

from pathlib import Path
from typing import Any

from labeling.confusions.confusion_files import entropies
from labeling.confusions.confusions import Confusions
from labeling.confusions.examples import example_rows
from labeling.confusions.plan import Plan
from labeling.confusions.proposals import Proposal
from labeling.issues.report.shown_products import shown_products
from training.report.page_environment import page_environment

REPORT_FILE = "report.html"
_NUM_PROPOSALS = 40
_NUM_PAIRS = 25
_NUM_CATEGORIES = 40
#: A table of confusions among more categories fits no page.
_MOST_MEMBERS = 8


def write_report(folder: Path, confusions: Confusions, plan: Plan) -> None:
    """Write report.html, one self-contained file."""
    proposals = confusions.proposals[:_NUM_PROPOSALS]
    examples = [example_rows(confusions, proposal) for proposal in proposals]
    products = shown_products(confusions.catalog, {row for parts in examples for _, rows in parts for row in rows})
    shown = [
        {
            "entry": entry,
            "table": _table(confusions, proposal),
            "examples": [(heading, [products[row] for row in rows]) for heading, rows in parts],
        }
        for proposal, entry, parts in zip(proposals, plan.proposals, examples, strict=False)
    ]
    categories, pairs = entropies(confusions), confusions.pairs()
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=confusions.catalog.parsed.path.name,
        num_rows=len(confusions.catalog),
        num_categories=len(categories),
        num_too_small=confusions.num_too_small,
        settings=confusions.settings,
        counts={kind: len(confusions.of_kind(kind)) for kind in ("merge", "split", "redefine")},
        proposals={"num": len(plan.proposals), "shown": shown},
        has_pictures=any(product["picture"] for product in products.values()),
        pairs={"num": len(pairs), "rows": [_pair(confusions, *pair) for pair in pairs[:_NUM_PAIRS]]},
        categories=categories[:_NUM_CATEGORIES],
    )  # fmt: skip
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _table(confusions: Confusions, proposal: Proposal) -> list[list[float]]:
    """Confusions among the categories of a merge; empty for two, or too many."""
    if proposal.kind != "merge" or not 2 < len(proposal.classes) <= _MOST_MEMBERS:
        return []
    return [
        [float(value) for value in row]
        for row in confusions.graph.weights[list(proposal.classes)][:, list(proposal.classes)].toarray()
    ]


def _pair(confusions: Confusions, first: int, second: int, confusion: float) -> dict[str, Any]:
    return {
        "first": confusions.path(first),
        "second": confusions.path(second),
        "confusion": confusion,
        **confusions.disputed.evidence([first, second]),
    }
