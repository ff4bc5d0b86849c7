"""The tables of `labeling drift`."""

import math
from pathlib import Path

from labeling.drift.catalog_drift import CatalogDrift
from labeling.output_files import write_table

_CATEGORY_COLUMNS = (
    "category", "products", "share", "likely_share", "trained_share", "mean_confidence", "expected_wrong", "change",
)  # fmt: skip
_WORD_COLUMNS = ("field", "word", "products", "share", "trained_share", "evidence")
_FIELD_COLUMNS = ("field", "share", "measured_share")


def write_drift(folder: Path, drift: CatalogDrift) -> None:
    """Write categories.csv, words.csv and fields.csv.

    Raises:
        LabelingError: the disk refuses.
    """
    categories = (
        (
            one.category, one.products, f"{one.share:.6f}", f"{one.likely_share:.6f}",
            "" if math.isnan(one.trained_share) else f"{one.trained_share:.6f}",
            f"{one.mean_confidence:.4f}", f"{one.expected_wrong:.1f}", one.change,
        )
        for one in drift.categories
    )  # fmt: skip
    write_table(folder / "categories.csv", _CATEGORY_COLUMNS, categories)
    words = (
        (one.field, one.word, one.products, f"{one.share:.6f}", f"{one.trained_share:.6f}", f"{one.evidence:.1f}")
        for one in drift.words
    )
    write_table(folder / "words.csv", _WORD_COLUMNS, words)
    fields = ((one.field, f"{one.share:.4f}", f"{one.measured_share:.4f}") for one in drift.fields)
    write_table(folder / "fields.csv", _FIELD_COLUMNS, fields)
