"""The one page that tells a merchandiser how clean a catalog is and where to begin."""

from pathlib import Path

from labeling.overview.overview import Overview
from labeling.overview.report.plots import review_plot
from labeling.overview.sentences import sentences
from training.report.page_environment import page_environment
from training.report.plots import DARK, LIGHT, data_url

OVERVIEW_PAGE = "overview.html"
_NUM_CATEGORIES = 10
_NUM_PAIRS = 5


def write_report(folder: Path, overview: Overview) -> None:
    """Write overview.html, one self-contained file but for its links to the lists beside it."""
    review, confusions = overview.review, overview.confusions
    pairs = [
        (confusions.path(first), confusions.path(second), confusion)
        for first, second, confusion in confusions.pairs()[:_NUM_PAIRS]
        if confusion >= confusions.settings.least_confusion
    ]
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=overview.issues.catalog.parsed.path.name,
        num_rows=len(overview.issues.catalog),
        num_categories=overview.issues.catalog.labels.taxonomy.num_leaves,
        sentences=sentences(overview),
        review=review,
        plot={"light": data_url(review_plot(review, LIGHT)), "dark": data_url(review_plot(review, DARK))},
        categories=overview.categories()[:_NUM_CATEGORIES],
        pairs=pairs,
        num_confident=overview.issues.joint.num_issues,
    )  # fmt: skip
    (folder / OVERVIEW_PAGE).write_text(page, encoding="utf-8")
