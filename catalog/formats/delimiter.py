"""The delimiter of a text table: what its first line says, what its ending says, or what its first records show."""

import contextlib
import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from catalog.formats.text_lines import text_lines
from catalog.read_options import ReadOptions

_DELIMITERS = (",", ";", "\t", "|")
#: A first line of spreadsheets that names the delimiter.
_NAMED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_NUM_LINES, _MAX_CHARS = 50, 2**20
#: Share of records with as many fields as the heading from which these follow a delimiter.
_ENOUGH = 0.9


def delimiter_of(path: Path, options: ReadOptions) -> tuple[str, int]:
    """The delimiter of a .csv or .tsv file, and the lines before its heading that say nothing else, 0 or 1.

    Raises:
        CatalogError: the file cannot be read.
    """
    lines = _first_lines(path, options.codec)
    named = _NAMED.fullmatch(lines[0]) if lines else None
    if named:
        return options.delimiter_character or named[1], 1
    if options.delimiter_character:
        return options.delimiter_character, 0
    usual = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    return _best(usual, lines), 0


def _first_lines(path: Path, codec: str) -> list[str]:
    found: list[str] = []
    num_chars = 0
    for line in islice(text_lines(path, codec), _NUM_LINES):
        found.append(line)
        num_chars += len(line)
        if num_chars > _MAX_CHARS:
            break
    return found


def _best(usual: str, lines: Sequence[str]) -> str:
    """The usual delimiter, unless the records do not follow it and do follow another."""
    found = {delimiter: _fields(lines, delimiter) for delimiter in _DELIMITERS}
    num_headings, share = found[usual]
    if num_headings > 1 and share >= _ENOUGH:
        return usual
    others = [delimiter for delimiter, (count, share) in found.items() if count > 1 and share >= _ENOUGH]
    return max(others, key=lambda delimiter: found[delimiter][0], default=usual)


def _fields(lines: Sequence[str], delimiter: str) -> tuple[int, float]:
    """The number of headings, and the share of the records after them that have as many fields."""
    counts: list[int] = []
    with contextlib.suppress(csv.Error):  # what was read before it tells enough
        for record in csv.reader(lines, delimiter=delimiter):
            counts += [len(record)] if record else []
    if len(counts) < 2:
        return (counts or [0])[0], 1.0
    return counts[0], sum(count == counts[0] for count in counts[1:]) / len(counts[1:])
