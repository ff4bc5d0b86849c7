"""Columns of a catalog, and the headings of a file that hold them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from catalog.formats.text_lines import printable
from model.errors import CatalogError, SettingsError
from model.product import FIELD_SPECS

INPUT_COLUMNS = tuple(spec.column for spec in FIELD_SPECS)
#: What the search groups and filters by, what tells offers of the same product, and when a product was listed, see
#: `catalog/months.py`; no model reads it.
OFFER_COLUMNS = ("group_id", "item_id", "mall", "price", "model_number", "source", "month")
COLUMNS = ("product_id", *INPUT_COLUMNS, "category", *OFFER_COLUMNS)


def parse_columns(text: str) -> dict[str, str]:
    """Read 'product_name=title,category=cat' as {column: heading}; an empty text maps nothing.

    Raises:
        SettingsError: a part is not NAME=HEADING, a column is unknown, or stands twice.
    """
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, heading = (side.strip() for side in part.partition("="))
        if not name or not heading:
            raise SettingsError(f"--columns: expected NAME=HEADING, found {part!r}; write product_name=title,...")
        if name in columns:
            raise SettingsError(f"--columns: {name!r} stands twice; map each column once")
        columns[name] = heading
    _check_names(columns)
    return columns


def locate_columns(path: Path, headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Find the catalog's columns among the headings of a file.

    Args:
        headings: as in the file, in any order.
        columns: {column: heading}; a column that is not named goes by its own name.
    Returns:
        {column: heading} of the columns the file has, in the order of COLUMNS.
    Raises:
        CatalogError: a mapped heading, product_id or every input is missing, or a heading stands twice.
        SettingsError: `columns` names an unknown column.
    """
    _check_names(columns)
    wanted = {name: columns.get(name, name) for name in COLUMNS}
    for name, heading in wanted.items():
        if heading not in headings and (name in columns or name == "product_id"):
            raise CatalogError(
                f"{path}: expected a heading {heading!r} for {name}, found {_listed(headings)};"
                f" name the right one with --columns {name}=HEADING"
            )
        if headings.count(heading) > 1 and (name in columns or name not in OFFER_COLUMNS):
            raise CatalogError(f"{path}: the heading {heading!r} stands twice; rename one of the two")
    located = {name: heading for name, heading in wanted.items() if heading in headings}
    if not any(name in located for name in INPUT_COLUMNS):
        raise CatalogError(
            f"{path}: expected at least one of {', '.join(INPUT_COLUMNS)}, found {_listed(headings)};"
            " map a heading with --columns product_name=HEADING"
        )
    return located


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """'; did you mean ...?' for the nearest known name, '' when none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_names(columns: Mapping[str, str]) -> None:
    for name in columns:
        if name not in COLUMNS:
            raise SettingsError(
                f"--columns: unknown column {name!r}; the columns are {', '.join(COLUMNS)}{did_you_mean(name, COLUMNS)}"
            )


def _listed(headings: Sequence[str]) -> str:
    return ", ".join(f"'{printable(heading)}'" for heading in headings) or "no heading at all"
