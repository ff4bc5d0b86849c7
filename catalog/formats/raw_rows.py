"""All headings of a file and the texts below them, whatever columns they hold."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

from catalog.formats.cell_text import cell_text
from catalog.formats.delimited_records import delimited_records
from catalog.formats.delimited_rows import delimited_rows
from catalog.formats.json_rows import NUM_HEADING_LINES, json_headings, json_object, json_rows
from catalog.formats.parquet_rows import BATCH_ROWS, column_values, parquet_rows
from catalog.formats.row import RowReader
from catalog.formats.row_readers import row_reader
from catalog.formats.spreadsheet_rows import sheet_cells, spreadsheet_rows
from catalog.formats.text_lines import text_lines
from catalog.read_options import ReadOptions
from model.errors import CatalogError

#: The headings, and for each row a text below each of them.
RawRows = tuple[list[str], Iterator[list[str]]]


def raw_rows(path: Path, options: ReadOptions) -> RawRows:
    """Read a file as it is; malformed rows are passed over, and what is nested is written as JSON.

    Raises:
        CatalogError: the file cannot be read; at once, or while iterating.
    """
    return _READERS[row_reader(path)](path, options)


def _delimited(path: Path, options: ReadOptions) -> RawRows:
    records = delimited_records(path, lambda *_: None, options)
    headings = [heading.strip() for heading in next(records)[1]]
    return headings, (fields for _, fields in records)


def _json(path: Path, options: ReadOptions) -> RawRows:
    lines = enumerate(text_lines(path, options.codec), start=1)
    first_lines = list(islice(lines, NUM_HEADING_LINES))
    headings = json_headings(path, first_lines)

    def rows() -> Iterator[list[str]]:
        for _, text in chain(first_lines, lines):
            try:
                values = json_object(text)
            except ValueError:
                continue
            yield [_text(values.get(heading)) for heading in headings]

    return headings, rows()


def _parquet(path: Path, _: ReadOptions) -> RawRows:
    import pyarrow.parquet

    def rows() -> Iterator[list[str]]:
        with _parquet_errors(path, "after its start"), pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                for values in zip(*map(column_values, batch.columns), strict=True):
                    yield [*map(_text, values)]

    with _parquet_errors(path, "at its start"):
        return pyarrow.parquet.read_schema(path).names, rows()


@contextmanager
def _parquet_errors(path: Path, where: str) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise CatalogError(f"{path} cannot be read {where}: {error}; check the path or copy it again") from error


def _spreadsheet(path: Path, _: ReadOptions) -> RawRows:
    headings, rows = sheet_cells(path)
    return headings, ([*map(_text, cells)] for _, cells in rows)


def _text(value: object) -> str:
    try:
        return cell_text(value)
    except ValueError:
        is_nested = isinstance(value, dict | list | bool)
        return json.dumps(value, ensure_ascii=False, default=str) if is_nested else str(value)


_READERS: dict[RowReader, Callable[[Path, ReadOptions], RawRows]] = {
    delimited_rows: _delimited,
    json_rows: _json,
    parquet_rows: _parquet,
    spreadsheet_rows: _spreadsheet,
}
