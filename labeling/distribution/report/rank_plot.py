"""Products per category over its rank, both logarithmic, as PNG; ASCII only, see `training.report.plots`."""

import numpy as np

from labeling.distribution.distribution import Distribution
from training.report.plots import DASHED, Palette, new_figure, png_bytes


def rank_plot(distribution: Distribution, palette: Palette) -> bytes:
    """Plot the catalog, the earlier one dashed, and what samplings make of it."""
    figure, axes = new_figure(palette, width=7.2, height=4.4)
    for position, sampling in enumerate(distribution.samplings, start=1):
        color = palette.series[position % len(palette.series)]
        axes.plot(*_ranked(sampling.rows), color=color, linewidth=1.2, label=f"epoch with {sampling.name}")
    if distribution.before is not None:
        axes.plot(
            *_ranked(distribution.products_before), color=palette.muted, linewidth=1.6, linestyle=DASHED, label="before"
        )
    label = "now" if distribution.before is not None else "catalog"
    ranks, sizes = _ranked(distribution.products)
    axes.plot(ranks, sizes, color=palette.series[0], linewidth=2.4, label=label, marker="o" if len(sizes) == 1 else "")
    limits = (distribution.settings.head_products, distribution.settings.tail_products)
    for name, limit in zip(("head above", "tail below"), limits, strict=True):
        axes.axhline(limit, color=palette.muted, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            name, (1, limit), xycoords=("axes fraction", "data"), xytext=(4, -2), textcoords="offset points",
            color=palette.muted, fontsize=7,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="rank of the category, largest first", ylabel="products")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8, labelcolor=palette.ink)
    return png_bytes(figure)


def _ranked(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks from 1, and sizes above 0, descending."""
    filled = np.sort(sizes[sizes > 0])[::-1]
    return np.arange(1, len(filled) + 1), filled
