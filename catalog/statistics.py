"""Statistics of a catalog, counted in one pass: by them defaults, fields and labels are chosen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog.labels.spellings import LabelSpellings
from catalog.labels.warnings import label_warnings
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from catalog.rows import CatalogRow, presence_flags
from model.errors import CatalogError
from model.product import FIELDS, field_words

#: A field on fewer rows than this share cannot teach a branch.
LEAST_SHARE = 0.005
#: More distinct labels than any tree has: a wrong column was taken for the category.
MAX_LABELS = 200_000


@dataclass(frozen=True)
class CatalogStatistics:
    """Counts of the good rows of a catalog.

    Args:
        path: the catalog, for messages.
        field_counts: rows that have the field, by `model.product.FIELDS`.
        label_counts: rows by normalized label; '' counts those without one.
        label_warnings: sentences on labels that were read as others, or that may be meant otherwise.
    """

    path: Path
    num_rows: int
    field_counts: dict[str, int]
    label_counts: dict[str, int]
    label_warnings: list[str]

    def frequent_fields(self) -> tuple[str, ...]:
        """Return the fields that at least LEAST_SHARE of the rows have, in the order of FIELDS.

        Raises:
            CatalogError: no field is given often enough.
        """
        counts = ((field, self.field_counts.get(field, 0)) for field in FIELDS)
        fields = tuple(field for field, count in counts if count and count >= LEAST_SHARE * self.num_rows)
        if not fields:
            raise CatalogError(
                f"{self.path}: expected {field_words(FIELDS)}, found none in {self.num_rows} rows;"
                " name the right headings with --columns product_name=HEADING"
            )
        return fields


class StatisticsCounter:
    """Counts the rows of a catalog chunk by chunk.

    Args:
        path: the catalog, for messages.
        options: how it is read.
        max_labels: distinct labels above which the column holds no categories.
    """

    def __init__(self, path: Path, options: ReadOptions = DEFAULT_OPTIONS, max_labels: int = MAX_LABELS):
        self.spellings = LabelSpellings(options)
        self.num_rows = 0
        self._path, self._max_labels = path, max_labels
        self._fields = np.zeros(len(FIELDS), np.int64)
        self._labels: Counter[str] = Counter()

    def add(self, rows: Sequence[CatalogRow]) -> None:
        """Count a chunk of rows.

        Raises:
            CatalogError: the labels are so many that they are no categories.
        """
        self.num_rows += len(rows)
        self._fields += presence_flags(rows).astype(bool).sum(axis=0)
        self._labels.update(row.category for row in rows)
        if len(self._labels) > self._max_labels:
            raise CatalogError(
                f"{self._path}: expected at most {self._max_labels:,} categories, found more, such as"
                f" {rows[-1].category!r}; name the right heading with --columns category=HEADING"
            )

    def statistics(self) -> CatalogStatistics:
        """Return the counts so far."""
        fields = dict(zip(FIELDS, self._fields.tolist(), strict=True))
        warnings = [*self.spellings.warnings(), *label_warnings(list(filter(None, self._labels)))]
        return CatalogStatistics(self._path, self.num_rows, fields, dict(self._labels), warnings)
