"""The page about a new catalog: what is to be expected of a bundle on it, what changed, what to label first."""

from pathlib import Path

from labeling.drift.catalog_drift import CatalogDrift
from training.report.page_environment import page_environment

REPORT_FILE = "report.html"
_NUM_CATEGORIES = 25
_NUM_WORDS = 40


def write_report(folder: Path, drift: CatalogDrift, catalog: str, bundle: str) -> None:
    """Write report.html, one self-contained file."""
    shown = [category for category in drift.categories[:_NUM_CATEGORIES] if category.products]
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=catalog,
        bundle=bundle,
        drift=drift,
        categories=shown,
        grown=drift.changed("grew")[:_NUM_CATEGORIES],
        shrunk=drift.changed("shrank", "gone")[:_NUM_CATEGORIES],
        words=drift.words[:_NUM_WORDS],
    )  # fmt: skip
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")
