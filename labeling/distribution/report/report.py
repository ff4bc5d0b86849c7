"""The page about the spread of products over categories: before and after, and under sampling."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from labeling.distribution.distribution import Distribution
from labeling.distribution.distribution_files import sampling_figures
from labeling.distribution.imbalance import PARTS, parts_of
from labeling.distribution.report.rank_plot import rank_plot
from labeling.output_files import output_file
from training.report.page_environment import page_environment
from training.report.plots import DARK, LIGHT, Palette

REPORT_FILE = "report.html"
_NUM_LARGEST = 15
_NUM_SMALLEST = 25
_NUM_CHANGED = 25


def write_report(folder: Path, distribution: Distribution) -> None:
    """Write report.html, one self-contained file.

    Raises:
        LabelingError: the disk refuses.
    """
    rows = _categories(distribution)
    filled = [row for row in rows if row["products"]]
    changed = sorted(rows, key=lambda row: -abs(row["products"] - row["before"]))
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        now=distribution.now,
        before=distribution.before,
        imbalance=distribution.imbalance,
        imbalance_before=distribution.imbalance_before,
        num_new=distribution.num_new,
        num_gone=distribution.num_gone,
        settings=distribution.settings,
        parts=PARTS,
        samplings=[
            {"name": one.name, "words": one.words, **sampling_figures(one, distribution)}
            for one in distribution.samplings
        ],
        plot={"light": _picture(distribution, LIGHT), "dark": _picture(distribution, DARK)},
        largest=filled[:_NUM_LARGEST],
        smallest=filled[_NUM_LARGEST:][::-1][:_NUM_SMALLEST],
        changed=[row for row in changed if row["products"] != row["before"]][:_NUM_CHANGED]
        if distribution.before
        else [],
    )  # fmt: skip
    with output_file(folder / REPORT_FILE) as aside:
        aside.write_text(page, encoding="utf-8")


def _picture(distribution: Distribution, palette: Palette) -> str:
    return f"data:image/png;base64,{base64.b64encode(rank_plot(distribution, palette)).decode()}"


def _categories(distribution: Distribution) -> list[dict[str, Any]]:
    parts: np.ndarray = parts_of(distribution.products, distribution.settings)
    return [
        {
            "category": path,
            "products": int(distribution.products[i]),
            "before": int(distribution.products_before[i]),
            "part": str(parts[i]),
            "rows": [float(sampling.rows[i]) for sampling in distribution.samplings],
        }
        for i, path in enumerate(distribution.categories)
    ]
