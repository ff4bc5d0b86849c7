"""The groups of a catalog's rows by one of its columns, and folds of whole groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from catalog.columns import COLUMNS, OFFER_COLUMNS, did_you_mean
from catalog.months import month_name, month_number
from catalog.rows import CatalogRow
from labeling.answers.labelled_catalog import LabelledCatalog
from model.errors import LabelingError
from model.product import FIELD_SPECS
from model.taxonomy import SEPARATOR
from tokenizer.errors import SettingsError

_FIELDS = {spec.column: spec.name for spec in FIELD_SPECS if spec.kind == "text"}
GROUP_COLUMNS = tuple(column for column in COLUMNS if column in _FIELDS or column in OFFER_COLUMNS)
#: Of these the first that a catalog has.
_DEFAULT_COLUMNS = ("mall", "month", "brand")
#: Groups that are judged by themselves, the largest ones.
_MOST_UNITS = 200


@dataclass(frozen=True, eq=False)
class GroupColumn:
    """The groups of N rows.

    Args:
        column: one of GROUP_COLUMNS.
        names: of the groups, in order; spellings that differ in letter case are one.
        numbers: (N,) int64, the group of each row; -1 for rows without one.
    """

    column: str
    names: list[str]
    numbers: np.ndarray

    @classmethod
    def of(cls, catalog: LabelledCatalog, column: str) -> GroupColumn:
        """Read the groups of a catalog's usable rows.

        Args:
            column: '' for the first of mall, month and brand that tells two groups or more.
        Raises:
            SettingsError: the column is unknown.
            LabelingError: it does not tell two groups or more.
        """
        if column and column not in GROUP_COLUMNS:
            raise SettingsError(
                f"--by: expected one of {', '.join(GROUP_COLUMNS)}, found {column!r}"
                f"{did_you_mean(column, GROUP_COLUMNS)}; another column of the file is named with --columns"
                " mall=HEADING"
            )
        for name in [column] if column else _DEFAULT_COLUMNS:
            values = column_values(catalog, name)
            names = _names(values)
            if len(names) > 1:
                numbers = {key: number for number, key in enumerate(names)} | {"": -1}
                found = np.array([numbers[value.casefold()] for value in values], np.int64)
                return cls(name, list(names.values()), found)
        wanted = f"the column {column}" if column else f"one of the columns {', '.join(_DEFAULT_COLUMNS)}"
        others = [name for name in GROUP_COLUMNS if len(set(column_values(catalog, name)) - {""}) > 1]
        raise LabelingError(
            f"{catalog.parsed.path}: expected products of two groups or more in {wanted}, found fewer; the columns with"
            f" two values or more are {', '.join(others) or 'none'}: choose one with --by, or name a heading of the"
            f" file with --columns {column or 'mall'}=HEADING"
        )

    def folds(self, num_folds: int) -> np.ndarray:
        """(N,) int64, the fold of each row, all of a group in one; -1 for rows without a group.

        Consecutive months share a fold; of other columns the largest group first goes to the smallest fold.
        """
        sizes = np.bincount(self.numbers[self.numbers >= 0], minlength=len(self.names))
        num_folds = min(num_folds, len(sizes))
        if self.column == "month":
            middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
            _, fold_of_group = np.unique((middles * num_folds).astype(np.int64), return_inverse=True)
        else:
            fold_of_group, loads = np.zeros(len(sizes), np.int64), np.zeros(num_folds, np.int64)
            for group in np.argsort(-sizes, kind="stable").tolist():
                fold_of_group[group] = loads.argmin()
                loads[fold_of_group[group]] += sizes[group]
        return np.where(self.numbers >= 0, fold_of_group[self.numbers], -1)

    def units(self, folds: np.ndarray) -> np.ndarray:
        """(N,) int64, numbers of what is held out and judged by itself; -1 for rows without a group.

        That is a large group, else the small groups of a fold together.

        Args:
            folds: (N,) int, see `folds`.
        """
        sizes = np.bincount(self.numbers[self.numbers >= 0], minlength=len(self.names))
        is_large = np.zeros(len(sizes), bool)
        is_large[np.argsort(-sizes, kind="stable")[:_MOST_UNITS]] = True
        keys = np.where(is_large[self.numbers], self.numbers, len(sizes) + folds)
        _, units = np.unique(keys, return_inverse=True)
        return np.where(self.numbers >= 0, units, -1)


def _names(values: list[str]) -> dict[str, str]:
    """By value without letter case its most frequent spelling, in order."""
    names: dict[str, str] = {}
    for value, _ in Counter(values).most_common():
        names.setdefault(value.casefold(), value)
    return {key: names[key] for key in sorted(names) if key}


def column_values(catalog: LabelledCatalog, column: str) -> list[str]:
    """The value of each usable row, '' where it has none: of a mall category its top, of a month 2026-03."""
    values = [value_of(row, column) for rows in catalog.parsed.rows() for row in rows]
    return [values[row] for row in np.asarray(catalog.encoded.arrays["rows"]).tolist()]


def value_of(row: CatalogRow, column: str) -> str:
    """The value by which a row is grouped."""
    text = row.offer_text(column) if column in OFFER_COLUMNS else row.text(_FIELDS[column]).strip()
    if column == "month":
        number = month_number(text)
        return "" if number is None else month_name(number)
    return text.split(SEPARATOR)[0].strip() if column == "mall_category" else text
