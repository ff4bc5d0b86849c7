"""CSV and TSV to records with the line each begins in; a broken record costs itself alone."""

import csv
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from catalog.formats.text_lines import text_lines
from model.errors import CatalogError

#: What is told about a bad record: its first line, the fields as far as they are known, and why.
OnBadRecord = Callable[[int, list[str], str], None]


def delimiter_of(path: Path) -> str:
    """The field separator by the file's ending: a tab for .tsv, else a comma."""
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


def delimited_records(path: Path, on_bad: OnBadRecord) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields), the heading first; every later record has as many fields as the heading.

    Blank lines are passed over. Where a bad record spans several lines, most likely behind a quote
    that nobody closed, its first line is given up and reading goes on in the second.

    Args:
        on_bad: told of every record that is left out.
    Raises:
        CatalogError: the file cannot be read, or has no heading.
    """
    lines = _RecordLines(text_lines(path))
    delimiter = delimiter_of(path)
    reader = csv.reader(lines, delimiter=delimiter)
    num_fields = 0
    while True:
        try:
            for fields in reader:
                line = lines.first_line
                if lines.has_ended:
                    on_bad(line, fields, "unclosed quote: the file ends inside a quoted field; close it")
                    lines.go_on_in_second_line()
                elif not fields:
                    lines.end_record()
                elif num_fields and len(fields) != num_fields:
                    on_bad(line, fields, _wrong_number(num_fields, len(fields)))
                    lines.go_on_in_second_line()
                elif len(lines.record) > 1 and not _is_well_quoted(lines.record, delimiter):
                    on_bad(line, fields, "unclosed quote: it was closed lines later inside a value; close or double it")
                    lines.go_on_in_second_line()
                else:
                    num_fields = len(fields)
                    lines.end_record()
                    yield line, fields
        except csv.Error as error:
            if not num_fields:
                raise CatalogError(f"{path}: the heading cannot be read: {_unreadable(error)}") from error
            on_bad(lines.first_line, [], _unreadable(error))
            lines.go_on_in_second_line()
            continue
        if not num_fields:
            raise CatalogError(f"{path}: expected a heading line, found an empty file; write the column names first")
        return


class _RecordLines:
    """Feeds the reader and keeps the lines of the record in hand, to read them again when it is bad."""

    def __init__(self, lines: Iterator[str]):
        self._lines = lines
        self._again: deque[str] = deque()
        self.record: list[str] = []
        self.first_line = 1
        self.has_ended = False

    def __iter__(self) -> "_RecordLines":
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            try:
                line = next(self._lines)
            except StopIteration:
                self.has_ended = True  # a record that comes out after this was not whole
                raise
        self.record.append(line)
        return line

    def end_record(self) -> None:
        self.first_line += len(self.record)
        self.record.clear()

    def go_on_in_second_line(self) -> None:
        self.first_line += 1
        self._again.extendleft(reversed(self.record[1:]))
        self.record.clear()
        self.has_ended = False


def _is_well_quoted(record: list[str], delimiter: str) -> bool:
    """Whether quotes stand at the ends of fields only, or doubled.

    A record of one line may be read leniently, '"Best" shirt' for one; with more it would swallow its neighbours.
    """
    try:
        next(csv.reader(record, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _wrong_number(expected: int, found: int) -> str:
    return (
        f"wrong number of fields: expected {expected} as in the heading, found {found};"
        " put a field that holds the separator, a quote or a line end in quotes"
    )


def _unreadable(error: csv.Error) -> str:
    if "field limit" in str(error):
        return (
            f"field too long: expected at most {csv.field_size_limit()} characters;"
            " shorten it, or close a quote that was left open"
        )
    return "stray carriage return: found one outside quotes; end lines with \\n or \\r\\n"
