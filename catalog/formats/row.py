"""A row as the formats' readers give it, and what they call for one that is malformed."""

from collections.abc import Callable, Iterator
from pathlib import Path

from catalog.read_options import ReadOptions

#: (line, texts in the order of COLUMNS, '' for a missing one); the first line of the row, or the row's number in
#: Parquet and spreadsheets, both from 1.
Row = tuple[int, tuple[str, ...]]
#: Called for a malformed row with its line, its product_id as far as it is known, and the reason.
OnBadRow = Callable[[int, str, str], None]
RowReader = Callable[[Path, ReadOptions, OnBadRow], Iterator[Row]]
