"""Readers of the catalog formats: rows of texts in the order of COLUMNS, '' for a missing column."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from catalog.columns import OFFER_COLUMNS
from catalog.formats.column_layout import ColumnLayout
from catalog.formats.delimited_records import delimited_records
from catalog.formats.text_lines import MAX_LINE_BYTES, text_lines
from model.errors import CatalogError

#: (line, texts); the first line of the row, or the row's number in Parquet, both from 1.
Row = tuple[int, tuple[str, ...]]
#: Called for a malformed row with its line, its product_id as far as it is known, and the reason.
OnBadRow = Callable[[int, str, str], None]
RowReader = Callable[[Path, Mapping[str, str], OnBadRow], Iterator[Row]]

#: JSON objects may omit keys, so the headings are collected from this many lines.
NUM_HEADING_LINES = 10_000
#: Rows decoded at a time.
PARQUET_BATCH_ROWS = 8192
_LARGEST_EXACT_FLOAT = 2.0**53
#: Stands for a missing column; no JSON text decodes to it.
_NO_KEY: Any = object()


def row_reader(path: Path) -> RowReader:
    """Return the reader for a file's ending.

    Raises:
        CatalogError: the ending is not that of a catalog format.
    """
    name = path.name.lower()
    for ending, reader in _READERS.items():
        if name.endswith(ending):
            return reader
    raise CatalogError(
        f"{path}: expected a file that ends in {', '.join(_READERS)}, found {path.name!r}; convert or rename it"
    )


def delimited_rows(path: Path, columns: Mapping[str, str], on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file."""
    id_index = num_rows = 0

    def on_bad_record(line: int, fields: list[str], reason: str) -> None:
        nonlocal num_rows
        num_rows += 1
        on_bad(line, fields[id_index] if id_index < len(fields) else "", reason)

    records = delimited_records(path, on_bad_record)
    headings = [heading.strip() for heading in next(records)[1]]
    layout = ColumnLayout(path, headings, columns)
    indices = layout.sources({heading: headings.index(heading) for heading in headings}, len(headings))
    id_index = indices[0]
    pick = itemgetter(*indices)
    for line, fields in records:
        num_rows += 1
        fields.append("")  # the value of missing columns
        yield line, layout.texts(pick(fields), num_rows)


def json_rows(path: Path, columns: Mapping[str, str], on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file."""
    lines = enumerate(text_lines(path), start=1)
    first_lines = list(islice(lines, NUM_HEADING_LINES))
    headings = _json_headings(path, first_lines)
    layout = ColumnLayout(path, headings, columns)
    keys = layout.sources({heading: heading for heading in headings}, _NO_KEY)
    num_rows = 0
    for line, text in chain(first_lines, lines):
        if text.isspace():
            continue
        num_rows += 1
        try:
            values = list(map(_json_object(text).get, keys))
        except ValueError as error:
            on_bad(line, "", f"bad JSON: {error}")
            continue
        try:
            yield line, layout.texts(_texts(layout, values), num_rows)
        except ValueError:
            on_bad(line, *_bad_value(layout, values))


def parquet_rows(path: Path, columns: Mapping[str, str], on_bad: OnBadRow) -> Iterator[Row]:
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
            layout = ColumnLayout(path, file.schema_arrow.names, columns)
            names = list(dict.fromkeys(chain.from_iterable(layout.headings)))
            for batch in file.iter_batches(PARQUET_BATCH_ROWS, columns=names):
                arrays = {name: _values(batch.column(name)) for name in names}
                for raw in zip(*layout.sources(arrays, [""] * batch.num_rows), strict=True):
                    row += 1
                    try:
                        yield row, layout.texts(_texts(layout, raw), row)
                    except ValueError:
                        on_bad(row, *_bad_value(layout, raw))
    except (OSError, pyarrow.ArrowException) as error:
        where = f"after row {row}" if row else "at its start"
        raise CatalogError(f"{path} cannot be read {where}: {error}; check the path or copy the file again") from error


def _texts(layout: ColumnLayout, values: Sequence[object]) -> tuple[str, ...]:
    """Convert the values of a row; what an offer's columns hold that is no text is taken for none."""
    first = layout.num_sources - len(OFFER_COLUMNS)
    return (*map(field_text, values[:first]), *map(_offer_text, values[first:]))


def _offer_text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return field_text(value)
    except ValueError:
        return ""


def field_text(value: object) -> str:
    """Convert a field to text: None and NaN are '', a whole number has no '.0'.

    Bytes that are not UTF-8 become lone surrogates, as in `text_lines`.

    Raises:
        ValueError: the value is neither text nor a finite number.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and not math.isinf(value):
        if math.isnan(value):
            return ""
        # Tables store whole numbers as floats when one of them is missing.
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT_FLOAT else repr(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"expected text or a number, found {type(value).__name__}")


def _json_headings(path: Path, lines: list[tuple[int, str]]) -> list[str]:
    headings: dict[str, None] = {}
    has_object = False
    for _, text in lines:
        try:
            headings.update(dict.fromkeys(_json_object(text)))
        except ValueError:
            continue
        has_object = True
    if not has_object:
        raise CatalogError(
            f"{path}: expected one JSON object a line, found none in the first {len(lines)} lines;"
            ' write {"product_id": ..., "product_name": ...} line by line'
        )
    return list(headings)


def _json_object(text: str) -> dict[str, Any]:
    if len(text) >= MAX_LINE_BYTES:
        raise ValueError(f"expected at most {MAX_LINE_BYTES} bytes in a line; write one object a line")
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("the object is nested too deeply; write a flat one") from error
    if not isinstance(values, dict):
        raise ValueError(f"expected an object, found {type(values).__name__}; write one object a line")
    return values


def _bad_value(layout: ColumnLayout, raw: Sequence[object]) -> tuple[str, str]:
    """Return product_id, as far as it is text, and the reason: the first value that is not a text or number."""
    texts: list[str] = []
    for name, value in zip(layout.names(), raw, strict=True):
        try:
            texts.append(field_text(value))
        except ValueError as error:
            return "".join(texts[:1]), f"bad value: {name}: {error}; write it as text"
    raise AssertionError("called for a row without a bad value")


def _values(column: Any) -> list[object]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # a value is not UTF-8; as bytes it affects only its own row
        return list(column.cast("large_binary").to_pylist())


_READERS: dict[str, RowReader] = {
    ".csv": delimited_rows,
    ".csv.gz": delimited_rows,
    ".tsv": delimited_rows,
    ".tsv.gz": delimited_rows,
    ".jsonl": json_rows,
    ".jsonl.gz": json_rows,
    ".ndjson": json_rows,
    ".ndjson.gz": json_rows,
    ".parquet": parquet_rows,
}
