"""The page about correlations that do not hold everywhere: what they cost, with examples, and the worst group."""

from pathlib import Path
from typing import Any

from labeling.correlations.correlation import Correlation
from labeling.correlations.correlation_files import groups
from labeling.correlations.correlations import Correlations
from labeling.issues.report.shown_products import shown_products
from labeling.output_files import output_file
from training.report.page_environment import page_environment

REPORT_FILE = "report.html"
_NUM_WITH_EXAMPLES = 20
_NUM_LISTED = 100
_NUM_GROUPS = 40
_NUM_NAMED = 5


def write_report(folder: Path, correlations: Correlations) -> None:
    """Write report.html, one self-contained file.

    Raises:
        LabelingError: the disk refuses.
    """
    shown = [one for one in correlations.found if one.examples][:_NUM_WITH_EXAMPLES]
    products = shown_products(correlations.catalog, {example.row for one in shown for example in one.examples})
    rows = list(groups(correlations))
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=correlations.catalog.parsed.path.name,
        column=correlations.groups.column.replace("_", " "),
        num_products=int(correlations.held_out.is_held_out.sum()),
        accuracy=correlations.accuracy,
        accuracy_known=correlations.accuracy_known,
        worst=correlations.worst_group,
        num_found=len(correlations.found),
        num_costly=len(correlations.costly),
        shown=[_shown(correlations, one, products) for one in shown],
        has_pictures=any(product["picture"] for product in products.values()),
        listed=[_entry(one) for one in correlations.found[:_NUM_LISTED]],
        groups={"num": len(rows), "rows": rows[:_NUM_GROUPS]},
    )  # fmt: skip
    with output_file(folder / REPORT_FILE) as aside:
        aside.write_text(page, encoding="utf-8")


def _entry(one: Correlation) -> dict[str, Any]:
    return {
        "words": one.feature.words,
        "field": one.feature.field.replace("_", " "),
        "is_read": one.feature.is_read,
        "category": one.category,
        "train_share": one.train_share,
        "held_share": one.held_share,
        "held_products": one.held_products,
        "misled": one.misled,
        "made_wrong": one.made_wrong,
        "made_right": one.made_right,
        "cost": one.cost,
        "about": "about " if one.is_estimated else "",
        "holds_in": {"num": len(one.holds_in), "names": one.holds_in[:_NUM_NAMED]},
        "fails_in": {"num": len(one.fails_in), "names": one.fails_in[:_NUM_NAMED]},
    }


def _shown(correlations: Correlations, one: Correlation, products: dict[int, dict[str, Any]]) -> dict[str, Any]:
    leaves = correlations.catalog.labels.taxonomy.leaves
    examples = [
        {
            **products[example.row],
            "group": correlations.groups.names[correlations.groups.numbers[example.row]],
            "answered": leaves[example.answered],
            "without": leaves[example.without],
        }
        for example in one.examples
    ]
    return {**_entry(one), "examples": examples}
