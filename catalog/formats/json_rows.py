"""Rows of a JSON Lines file."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from catalog.formats.cell_text import bad_cell, cell_texts
from catalog.formats.column_layout import ColumnLayout
from catalog.formats.row import OnBadRow, Row
from catalog.formats.text_lines import MAX_LINE_BYTES, text_lines
from catalog.read_options import ReadOptions
from model.errors import CatalogError

#: JSON objects may omit keys, so the headings are collected from this many lines.
NUM_HEADING_LINES = 10_000
#: Stands for a missing column; no JSON text decodes to it.
_NO_KEY: Any = object()


def json_rows(path: Path, options: ReadOptions, on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file."""
    lines = enumerate(text_lines(path, options.codec), start=1)
    first_lines = list(islice(lines, NUM_HEADING_LINES))
    headings = json_headings(path, first_lines)
    layout = ColumnLayout(path, headings, options.headings)
    keys = layout.sources({heading: heading for heading in headings}, _NO_KEY)
    num_rows = 0
    for line, text in chain(first_lines, lines):
        if text.isspace():
            continue
        num_rows += 1
        try:
            values = list(map(json_object(text).get, keys))
        except ValueError as error:
            on_bad(line, "", f"bad JSON: {error}")
            continue
        try:
            yield line, layout.texts(cell_texts(layout, values), num_rows)
        except ValueError:
            on_bad(line, *bad_cell(layout, values))


def json_headings(path: Path, lines: list[tuple[int, str]]) -> list[str]:
    """The keys of the objects in some lines, in the order in which they come.

    Raises:
        CatalogError: no line holds an object.
    """
    headings: dict[str, None] = {}
    has_object = False
    for _, text in lines:
        try:
            headings.update(dict.fromkeys(json_object(text)))
        except ValueError:
            continue
        has_object = True
    if not has_object:
        raise CatalogError(
            f"{path}: expected one JSON object a line, found none in the first {len(lines)} lines;"
            ' write {"product_id": ..., "product_name": ...} line by line'
        )
    return list(headings)


def json_object(text: str) -> dict[str, Any]:
    """Read one line of a JSON Lines file.

    Raises:
        ValueError: it is too long, or no object.
    """
    if len(text) >= MAX_LINE_BYTES:
        raise ValueError(f"expected at most {MAX_LINE_BYTES} bytes in a line; write one object a line")
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("the object is nested too deeply; write a flat one") from error
    if not isinstance(values, dict):
        raise ValueError(f"expected an object, found {type(values).__name__}; write one object a line")
    return values
