"""The files of `labeling correlations`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.correlations.correlations import Correlations
from labeling.output_files import output_file, write_table

_COLUMNS = (
    "feature", "field", "category", "train_share", "held_out_share", "held_out_products", "reliance", "misled",
    "made_wrong", "made_right", "is_estimated", "num_holds_in", "holds_in", "num_fails_in", "fails_in", "examples",
)  # fmt: skip
_GROUP_COLUMNS = ("group", "products", "accuracy", "accuracy_known")
_NUM_NAMED = 5


@dataclass(frozen=True)
class GroupRow:
    """One group: accuracy with it held out, and by classifiers that knew other products of it."""

    group: str
    products: int
    accuracy: float
    accuracy_known: float


def write_correlations(folder: Path, correlations: Correlations) -> None:
    """Write correlations.csv, the most costly first.

    Raises:
        LabelingError: the disk refuses.
    """
    ids = correlations.catalog.rows.product_ids
    rows = (
        (
            " ".join(one.feature.words), one.feature.field, one.category, f"{one.train_share:.4f}",
            f"{one.held_share:.4f}", one.held_products, f"{one.reliance:.4f}", one.misled, one.made_wrong,
            one.made_right, int(one.is_estimated), len(one.holds_in), "; ".join(one.holds_in[:_NUM_NAMED]),
            len(one.fails_in), "; ".join(one.fails_in[:_NUM_NAMED]),
            " ".join(ids[example.row] for example in one.examples),
        )
        for one in correlations.found
    )  # fmt: skip
    write_table(folder / "correlations.csv", _COLUMNS, rows)


def write_groups(folder: Path, correlations: Correlations) -> None:
    """Write groups.csv: every group, that with the most products answered wrongly first.

    Raises:
        LabelingError: the disk refuses.
    """
    rows = (
        (one.group, one.products, f"{one.accuracy:.4f}", f"{one.accuracy_known:.4f}") for one in groups(correlations)
    )
    write_table(folder / "groups.csv", _GROUP_COLUMNS, rows)


def write_summary(folder: Path, correlations: Correlations) -> None:
    """Write summary.json: accuracy with groups held out and known, the worst group, and what was found.

    Raises:
        LabelingError: the disk refuses.
    """
    values = {
        "by": correlations.groups.column,
        "num_groups": len(correlations.groups.names),
        "num_products": int(correlations.held_out.is_held_out.sum()),
        "accuracy": correlations.accuracy,
        "accuracy_known": correlations.accuracy_known,
        "worst_group": correlations.worst_group,
        "num_correlations": len(correlations.found),
        "num_costly": len(correlations.costly),
    }
    with output_file(folder / "summary.json") as aside:
        aside.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def groups(correlations: Correlations) -> Iterator[GroupRow]:
    """The groups, that with the most products answered wrongly first."""
    names, rows = correlations.groups.names, np.flatnonzero(correlations.held_out.is_held_out)
    numbers = correlations.groups.numbers[rows]
    counts = np.bincount(numbers, minlength=len(names))
    right = np.bincount(numbers, correlations.is_right[rows], len(names))
    known = np.bincount(numbers, correlations.is_right_known[rows], len(names))
    for number in np.argsort(right - counts, kind="stable").tolist():
        count = int(counts[number])
        yield GroupRow(names[number], count, right[number] / count, known[number] / count)
