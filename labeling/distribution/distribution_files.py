"""The files of `labeling distribution`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from labeling.distribution.distribution import CategoryCounts, Distribution
from labeling.distribution.imbalance import Imbalance, gini, parts_of
from labeling.distribution.samplings import Sampling
from labeling.output_files import output_file, write_table


def write_categories(folder: Path, distribution: Distribution) -> None:
    """Write categories.csv: every category, the largest first.

    Raises:
        LabelingError: the disk refuses.
    """
    found, has_before = distribution, distribution.before is not None
    columns = ["category", "products", *(["products_before"] if has_before else []), "share", "part"]
    shares = found.products / found.products.sum()
    parts = parts_of(found.products, found.settings)
    rows = (
        (
            path, int(found.products[i]), *([int(found.products_before[i])] if has_before else []),
            f"{shares[i]:.6f}", parts[i], *(f"{sampling.rows[i]:.1f}" for sampling in found.samplings),
        )
        for i, path in enumerate(found.categories)
    )  # fmt: skip
    write_table(folder / "categories.csv", [*columns, *(f"rows_{sampling.name}" for sampling in found.samplings)], rows)


def write_distribution(folder: Path, distribution: Distribution) -> None:
    """Write distribution.json: the measures, before and after, and of each sampling.

    Raises:
        LabelingError: the disk refuses.
    """
    before, measured_before = distribution.before, distribution.imbalance_before
    values = {
        "head_products": distribution.settings.head_products,
        "tail_products": distribution.settings.tail_products,
        "catalog": _entry(distribution.now, distribution.imbalance),
        "before": _entry(before, measured_before) if before and measured_before else None,
        "samplings": {one.name: sampling_figures(one, distribution) for one in distribution.samplings},
    }
    with output_file(folder / "distribution.json") as aside:
        aside.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def sampling_figures(sampling: Sampling, distribution: Distribution) -> dict[str, Any]:
    """Rows of an epoch, its Gini coefficient, the rows of the largest and smallest category, and the most repeats."""
    sizes = np.sort(sampling.rows[sampling.rows > 0])
    return {
        "rows": float(sizes.sum()),
        "gini": gini(sizes),
        "largest": float(sizes[-1]),
        "smallest": float(sizes[0]),
        "most_repeats": sampling.most_repeats(distribution.products),
    }


def _entry(counts: CategoryCounts, imbalance: Imbalance) -> dict[str, Any]:
    return {"file": counts.catalog.name, "num_left_out": counts.num_left_out, **imbalance.to_dict()}
