"""The plot of an overview; ASCII only, see `training.report.plots`."""

import numpy as np

from labeling.overview.review import Review
from training.report.plots import DASHED, Palette, new_figure, png_bytes

_NUM_POINTS = 200
#: The axis goes on to so many times the hours of the review.
_HORIZON = 3


def review_plot(review: Review, palette: Palette) -> bytes:
    """Plot the wrong labels that are expected to be found over hours of review, beside products in any order."""
    figure, axes = new_figure(palette, width=5.6, height=3.4)
    num_rows = len(review.wrong)
    last = min(num_rows, _HORIZON * review.num_reviewed)
    products = np.unique(np.linspace(0, last, _NUM_POINTS).astype(int))
    hours, found = review.hours_of(products), review.found_after(products)
    axes.plot(hours, found, color=palette.series[0], linewidth=2, label="most suspicious first")
    by_chance = products * review.expected_wrong.value / num_rows
    axes.plot(hours, by_chance, color=palette.muted, linewidth=1.4, linestyle=DASHED, label="in any order")
    end = review.hours_of(np.array([review.num_reviewed]))[0]
    axes.plot([end], [review.expected_found.value], color=palette.series[1], marker="o", markersize=7)
    axes.annotate(
        f"{review.expected_found.value:,.0f} after {end:.1f} h",
        (end, review.expected_found.value),
        xytext=(6, -14),
        textcoords="offset points",
        color=palette.series[1],
        fontsize=9,
    )
    axes.set(xlabel="hours of review", ylabel="wrong labels found, expected", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False, fontsize=8, labelcolor=palette.ink)
    return png_bytes(figure)
