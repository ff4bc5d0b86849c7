"""The tables of `labeling confusions`: how undecided each category is, and the pairs that are confused."""

from pathlib import Path

import numpy as np

from labeling.confusions.confusions import Confusions
from labeling.issues.issue_files import write_table

_CATEGORY_COLUMNS = (
    "category", "products", "prediction_entropy_bits", "like_categories", "products_with_near_duplicates",
    "label_entropy_bits", "most_confused_with", "confusion",
)  # fmt: skip
_PAIR_COLUMNS = (
    "category", "other", "confusion", "by_probability", "by_decision", "near_duplicate_groups", "disputed_groups",
)  # fmt: skip


def write_entropies(folder: Path, confusions: Confusions) -> None:
    """Write entropy.csv: every category with products, the most undecided first.

    Raises:
        LabelingError: the disk refuses.
    """
    rows = (
        (path, products, f"{bits:.4f}", f"{2**bits:.2f}", in_groups, _number(labels), other, f"{confusion:.4f}")
        for path, products, bits, in_groups, labels, other, confusion in entropies(confusions)
    )
    write_table(folder / "entropy.csv", _CATEGORY_COLUMNS, rows)


def write_pairs(folder: Path, confusions: Confusions) -> None:
    """Write pairs.csv: the pairs of categories that are confused both ways, the most confused first.

    Raises:
        LabelingError: the disk refuses.
    """
    graph = confusions.graph
    rows = (
        (
            confusions.path(first), confusions.path(second), f"{confusion:.4f}",
            f"{graph.by_probability[first, second]:.4f}", f"{graph.by_decision[first, second]:.4f}",
            *confusions.disputed.evidence([first, second]).values(),
        )
        for first, second, confusion in confusions.pairs()
    )  # fmt: skip
    write_table(folder / "pairs.csv", _PAIR_COLUMNS, rows)


def entropies(confusions: Confusions) -> list[tuple[str, int, float, int, float, str, float]]:
    """By category its path, products, bits of the answers, products with near-duplicates, bits of their labels (NaN
    without any), and the category that it is most confused with ('' for none), and how much.
    """  # noqa: D205
    entropy, weights, found = confusions.entropy, confusions.graph.weights, []
    for number in np.flatnonzero(entropy.num_judged).tolist():
        row = weights.getrow(number)
        place = int(np.argmax(row.data)) if row.nnz else -1
        found.append((
            confusions.path(number),
            int(entropy.num_judged[number]),
            float(entropy.predictions[number]),
            int(entropy.num_in_groups[number]),
            float(entropy.labels[number]),
            confusions.path(int(row.indices[place])) if row.nnz else "",
            float(row.data[place]) if row.nnz else 0.0,
        ))  # fmt: skip
    return sorted(found, key=lambda entry: -entry[2])


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"
