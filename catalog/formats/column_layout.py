"""The places of a catalog's columns in the rows of a file."""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from catalog.columns import COLUMNS, locate_columns
from model.taxonomy import SEPARATOR

T = TypeVar("T")

_log = logging.getLogger("aisle.catalog")


class ColumnLayout:
    """The headings of a file, by which the values of a row become texts in the order of COLUMNS.

    Args:
        path, headings, columns: see `locate_columns`.
    Raises:
        AisleError: see `locate_columns`.
    """

    def __init__(self, path: Path, headings: Sequence[str], columns: Mapping[str, str]):
        located = locate_columns(path, headings, columns)
        #: By column; () where the file has none.
        self.headings = [located.get(name, ()) for name in COLUMNS]
        #: Values of a row; those of an offer's columns come last, one each.
        self.num_sources = sum(max(len(found), 1) for found in self.headings)
        #: The position of the picture's value.
        self.image = self.names().index("image")
        self.has_ids = "product_id" in located
        self._has_levels = any(len(found) > 1 for found in self.headings)
        if not self.has_ids:
            _say_numbered(path)

    def sources(self, by_heading: Mapping[str, T], missing: T) -> list[T]:
        """The source of each value that `texts` is to be given: a position, a key or an array.

        Args:
            missing: stands for a column that the file has not.
        """
        return [by_heading[heading] if heading else missing for found in self.headings for heading in found or ("",)]

    def names(self) -> list[str]:
        """The column of each source."""
        return [name for name, found in zip(COLUMNS, self.headings, strict=True) for _ in found or ("",)]

    def texts(self, values: Sequence[str], row_number: int) -> tuple[str, ...]:
        """The texts of a row, one a column: levels are joined, and a row without an id goes by its number.

        Args:
            values: of `sources`.
            row_number: from 1.
        """
        joined = self._joined(values) if self._has_levels else tuple(values)
        return joined if self.has_ids else (str(row_number), *joined[1:])

    def _joined(self, values: Sequence[str]) -> tuple[str, ...]:
        texts, start = [], 0
        for found in self.headings:
            end = start + max(len(found), 1)
            texts.append(SEPARATOR.join(filter(str.strip, values[start:end])) if found[1:] else values[start])
            start = end
        return tuple(texts)


@lru_cache
def _say_numbered(path: Path) -> None:
    _log.info("%s has no heading product_id: rows go by their numbers; --columns product_id=HEADING names it", path)
