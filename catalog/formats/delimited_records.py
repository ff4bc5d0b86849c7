"""CSV and TSV records with the line where each begins; a malformed record does not affect the others."""

import csv
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from catalog.formats.delimiter import delimiter_of
from catalog.formats.text_lines import text_lines
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from model.errors import CatalogError

#: Called for a malformed record with its first line, its fields as far as they are known, and the reason.
OnBadRecord = Callable[[int, list[str], str], None]


def delimited_records(
    path: Path, on_bad: OnBadRecord, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields), the heading first; every later record has as many fields as the heading.

    Blank lines are skipped. When a malformed record spans several lines, usually because of an unclosed
    quote, only its first line is skipped and reading continues at the second.

    Args:
        on_bad: called for every malformed record.
        options: of which encoding and delimiter count.
    Raises:
        CatalogError: the file cannot be read, or has no heading.
    """
    delimiter, num_before = delimiter_of(path, options)
    lines = _RecordLines(islice(text_lines(path, options.codec), num_before, None), 1 + num_before)
    reader = csv.reader(lines, delimiter=delimiter)
    num_fields = 0
    while True:
        try:
            for fields in reader:
                line = lines.first_line
                if lines.has_ended:
                    on_bad(line, fields, "unclosed quote: the file ends inside a quoted field; close it")
                    lines.skip_first_line()
                elif not fields:
                    lines.end_record()
                elif num_fields and len(fields) != num_fields:
                    on_bad(line, fields, _wrong_number(num_fields, len(fields)))
                    lines.skip_first_line()
                elif len(lines.record) > 1 and not _is_well_quoted(lines.record, delimiter):
                    on_bad(line, fields, "unclosed quote: it was closed lines later inside a value; close or double it")
                    lines.skip_first_line()
                else:
                    num_fields = len(fields)
                    lines.end_record()
                    yield line, fields
        except csv.Error as error:
            if not num_fields:
                raise CatalogError(f"{path}: the heading cannot be read: {_malformed(error)}") from error
            on_bad(lines.first_line, [], _malformed(error))
            lines.skip_first_line()
            continue
        if not num_fields:
            raise CatalogError(f"{path}: expected a heading line, found an empty file; write the column names first")
        return


class _RecordLines:
    """An iterator for the reader that keeps the lines of the current record, to read a malformed one again."""

    def __init__(self, lines: Iterator[str], first_line: int):
        self._lines = lines
        self._again: deque[str] = deque()
        self.record: list[str] = []
        self.first_line = first_line
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
                self.has_ended = True  # a record returned after this was incomplete
                raise
        self.record.append(line)
        return line

    def end_record(self) -> None:
        self.first_line += len(self.record)
        self.record.clear()

    def skip_first_line(self) -> None:
        self.first_line += 1
        self._again.extendleft(reversed(self.record[1:]))
        self.record.clear()
        self.has_ended = False


def _is_well_quoted(record: list[str], delimiter: str) -> bool:
    """Return True when quotes are only at the ends of fields, or doubled.

    A record of one line is read leniently, as '"Best" shirt'; one of several lines might include its neighbours.
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


def _malformed(error: csv.Error) -> str:
    if "field limit" in str(error):
        return (
            f"field too long: expected at most {csv.field_size_limit()} characters;"
            " shorten it, or close a quote that was left open"
        )
    return "stray carriage return: found one outside quotes; end lines with \\n or \\r\\n"
