"""Rows of a Parquet file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from catalog.formats.cell_text import bad_cell, cell_texts
from catalog.formats.column_layout import ColumnLayout
from catalog.formats.row import OnBadRow, Row
from catalog.read_options import ReadOptions
from model.errors import CatalogError

#: Rows decoded at a time.
BATCH_ROWS = 8192


def parquet_rows(path: Path, options: ReadOptions, on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows of a Parquet file."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise CatalogError(
            f"{path}: Parquet is read with pyarrow, which is not installed; pip install pyarrow, or save it as CSV"
        ) from error
    row = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            layout = ColumnLayout(path, file.schema_arrow.names, options.headings)
            names = list(dict.fromkeys(chain.from_iterable(layout.headings)))
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                arrays = {name: column_values(batch.column(name)) for name in names}
                for raw in zip(*layout.sources(arrays, [""] * batch.num_rows), strict=True):
                    row += 1
                    try:
                        yield row, layout.texts(cell_texts(layout, raw), row)
                    except ValueError:
                        on_bad(row, *bad_cell(layout, raw))
    except (OSError, pyarrow.ArrowException) as error:
        where = f"after row {row}" if row else "at its start"
        raise CatalogError(f"{path} cannot be read {where}: {error}; check the path or copy the file again") from error


def column_values(column: Any) -> list[object]:
    """The values of a column of a batch; texts that are not UTF-8 as bytes, so that each affects only its own row."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return list(column.cast("large_binary").to_pylist())
