"""The page about wrong labels: how clean the catalog is, which categories are not, and the worst products."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from labeling.issues.issue_files import categories
from labeling.issues.label_issues import LabelIssues
from labeling.issues.report.shown_products import shown_products
from labeling.issues.words_against import words_against
from training.report.page_environment import page_environment

REPORT_FILE = "report.html"
_NUM_SHOWN = 60
_NUM_CATEGORIES = 25
_NUM_GROUPS = 20
_NUM_BINS = 20
_SURELY_WRONG = 0.05


def write_report(folder: Path, issues: LabelIssues) -> None:
    """Write report.html, one self-contained file."""
    shown = [int(row) for row in islice(issues.order, _NUM_SHOWN) if not np.isnan(issues.answers.given[row])]
    groups = _groups(issues)
    rows = shown_products(issues.catalog, {*shown, *(row for group in groups for row in group)})
    words = words_against(issues, shown)
    noisy = [entry for entry in categories(issues) if entry[2]]
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=issues.catalog.parsed.path.name,
        num_rows=len(issues.catalog),
        num_issues=issues.joint.num_issues,
        num_sure=int((issues.qualities < _SURELY_WRONG).sum()),
        surely_wrong=_SURELY_WRONG,
        num_groups=len(issues.majorities),
        num_not_judged=int(np.isnan(issues.answers.given).sum()),
        levels=_levels(issues),
        bins=_bins(issues.qualities),
        categories={"num": len(noisy), "rows": noisy[:_NUM_CATEGORIES]},
        products=[_product(issues, row, rows[row], words[row]) for row in shown],
        groups=[[rows[row] for row in group] for group in groups],
    )  # fmt: skip
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _levels(issues: LabelIssues) -> list[tuple[int, int]]:
    """By level of the tree the issues whose suggestion leaves the given category there."""
    found = [issues.level(row) for row in np.flatnonzero(issues.joint.is_issue).tolist()]
    return [(level, found.count(level)) for level in range(1, issues.catalog.labels.taxonomy.depth + 1)]


def _bins(qualities: np.ndarray) -> list[dict[str, Any]]:
    """Products by quality, with the height of their bar in percent; by the root, so that few are seen beside many."""
    counts, edges = np.histogram(qualities, bins=_NUM_BINS, range=(0, 1))
    highest = max(int(counts.max()), 1)
    return [
        {"from": float(edge), "count": int(count), "height": 100 * (count / highest) ** 0.5}
        for edge, count in zip(edges, counts, strict=False)
    ]


def _groups(issues: LabelIssues) -> list[list[int]]:
    """Rows of the largest groups of near-duplicates with different labels."""
    groups = issues.catalog.groups
    rows = np.flatnonzero(np.isin(groups, list(issues.majorities)))
    by_group: dict[int, list[int]] = {}
    for row in rows.tolist():
        by_group.setdefault(int(groups[row]), []).append(row)
    return sorted(by_group.values(), key=len, reverse=True)[:_NUM_GROUPS]


def _product(issues: LabelIssues, row: int, shown: dict[str, Any], words: list[str]) -> dict[str, Any]:
    return {
        **shown,
        "suggested": issues.path(issues.suggested[row]),
        "quality": float(issues.qualities[row]),
        "reason": issues.reason(row),
        "words": words,
    }
