"""The tables of `labeling confusions`: how undecided each category is, and the pairs that are confused."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.confusions.confusions import Confusions
from labeling.output_files import write_table

_CATEGORY_COLUMNS = (
    "category", "products", "prediction_entropy_bits", "like_categories", "products_with_near_duplicates",
    "label_entropy_bits", "most_confused_with", "confusion",
)  # fmt: skip
_PAIR_COLUMNS = (
    "category", "other", "confusion", "by_probability", "by_decision", "near_duplicate_groups", "disputed_groups",
)  # fmt: skip


@dataclass(frozen=True)
class CategoryRow:
    """One category in the table.

    Args:
        products: that were judged.
        answer_bits: mean entropy of the answers.
        in_groups: products that have near-duplicates.
        label_bits: mean entropy of the labels among these; NaN without any.
        other: the category that it is most confused with, '' for none.
        confusion: with that, 0 to 1.
    """

    category: str
    products: int
    answer_bits: float
    in_groups: int
    label_bits: float
    other: str
    confusion: float

    @property
    def like_categories(self) -> float:
        """As many equally probable categories would be as undecided (perplexity)."""
        return float(2**self.answer_bits)


def write_entropies(folder: Path, confusions: Confusions) -> None:
    """Write entropy.csv: every category with products, the most undecided first.

    Raises:
        LabelingError: the disk refuses.
    """
    rows = (
        (
            one.category, one.products, f"{one.answer_bits:.4f}", f"{one.like_categories:.2f}", one.in_groups,
            f"{one.label_bits:.4f}" if one.in_groups else "", one.other, f"{one.confusion:.4f}",
        )
        for one in entropies(confusions)
    )  # fmt: skip
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


def entropies(confusions: Confusions) -> list[CategoryRow]:
    """The categories with products, the most undecided first."""
    entropy, weights, found = confusions.entropy, confusions.graph.weights, []
    for number in np.flatnonzero(entropy.num_judged).tolist():
        row = weights.getrow(number)
        place = int(np.argmax(row.data)) if row.nnz else -1
        found.append(
            CategoryRow(
                confusions.path(number),
                int(entropy.num_judged[number]),
                float(entropy.predictions[number]),
                int(entropy.num_in_groups[number]),
                float(entropy.labels[number]),
                confusions.path(int(row.indices[place])) if row.nnz else "",
                float(row.data[place]) if row.nnz else 0.0,
            )
        )
    return sorted(found, key=lambda one: -one.answer_bits)
