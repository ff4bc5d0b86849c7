"""The categories of a catalog as training would take them: levels, leaves, and rows of each."""

from dataclasses import dataclass
from pathlib import Path

from catalog.labels.label_space import LabelSpace
from catalog.statistics import CatalogStatistics
from training.inspection.refusals import single_category_refusal

#: Each of the folds of a small catalog wants a row of a category.
FEW_ROWS = 5
_NUM_EXAMPLES = 20


@dataclass(frozen=True)
class CategorySummary:
    """The labels of a catalog in figures.

    Args:
        num_levels, num_leaves: of the tree; with a taxonomy file, of that.
        num_labelled: rows with a label that has a class.
        largest: the leaf with the most rows, and these.
        small: leaves with fewer than FEW_ROWS rows, the smallest first, and their rows; not all of them.
        num_small, num_empty: leaves with fewer than FEW_ROWS rows, but some; and leaves without any.
        rejected: rows whose label has no class, by the reason.
        refusal: why training would end before its work; '' for no reason.
        warnings: sentences on labels that may be written wrong.
    """

    num_levels: int
    num_leaves: int
    num_labelled: int
    largest: tuple[str, int]
    small: list[tuple[str, int]]
    num_small: int
    num_empty: int
    rejected: dict[str, int]
    refusal: str
    warnings: list[str]

    @classmethod
    def of(cls, path: Path, statistics: CatalogStatistics, labels: LabelSpace) -> "CategorySummary":
        """Summarise the labels of a catalog."""
        counts = dict(zip(labels.taxonomy.leaves, labels.class_counts.tolist(), strict=True))
        small = sorted((count, leaf) for leaf, count in counts.items() if 0 < count < FEW_ROWS)
        rejected: dict[str, int] = {}
        for label, count in statistics.label_counts.items():
            found = labels.class_of_label(label)
            if isinstance(found, str):
                rejected[found] = rejected.get(found, 0) + count
        return cls(
            labels.taxonomy.depth,
            labels.taxonomy.num_leaves,
            sum(counts.values()),
            max(counts.items(), key=lambda item: item[1]),
            [(leaf, count) for count, leaf in small[:_NUM_EXAMPLES]],
            len(small),
            sum(not count for count in counts.values()),
            rejected,
            single_category_refusal(path, labels),
            statistics.label_warnings,
        )
