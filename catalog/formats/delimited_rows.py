"""Rows of a CSV or TSV file."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from catalog.formats.column_layout import ColumnLayout
from catalog.formats.delimited_records import delimited_records
from catalog.formats.row import OnBadRow, Row
from catalog.read_options import ReadOptions


def delimited_rows(path: Path, options: ReadOptions, on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file."""
    id_index = num_rows = 0

    def on_bad_record(line: int, fields: list[str], reason: str) -> None:
        nonlocal num_rows
        num_rows += 1
        on_bad(line, fields[id_index] if id_index < len(fields) else "", reason)

    records = delimited_records(path, on_bad_record, options)
    headings = [heading.strip() for heading in next(records)[1]]
    layout = ColumnLayout(path, headings, options.headings)
    indices = layout.sources({heading: headings.index(heading) for heading in headings}, len(headings))
    id_index = indices[0]
    pick = itemgetter(*indices)
    for line, fields in records:
        num_rows += 1
        fields.append("")  # the value of missing columns
        yield line, layout.texts(pick(fields), num_rows)
