"""Columns of a catalog, and the headings of a file that hold them."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from catalog.formats.text_lines import printable
from model.errors import CatalogError, SettingsError
from model.product import FIELD_SPECS
from model.taxonomy import SEPARATOR

INPUT_COLUMNS = tuple(spec.column for spec in FIELD_SPECS)
#: What the search groups and filters by, what tells offers of the same product, and when a product was listed, see
#: `catalog/months.py`; no model reads it.
OFFER_COLUMNS = ("group_id", "item_id", "mall", "price", "model_number", "source", "month")
COLUMNS = ("product_id", *INPUT_COLUMNS, "category", *OFFER_COLUMNS)
#: Columns that hold a path, whose levels may have a heading each.
PATH_COLUMNS = ("mall_category", "category")
#: Text without commas, but for those in quotes.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_PART = re.compile(rf'(?:[^,"]|{_QUOTED.pattern})+')
_PARTS = re.compile(rf'(?:[^"]|{_QUOTED.pattern})*')


def parse_columns(text: str) -> dict[str, str]:
    """Read 'product_name=title,category=cat' as {column: heading}; an empty text maps nothing.

    A heading with a comma stands in quotes, as a part or the whole of it: 'brand="name, maker"'. The levels of a path
    may have a heading each, joined by '>': 'category=department>type'.

    Raises:
        SettingsError: a part is not NAME=HEADING, a quote is not closed, a column is unknown, or stands twice.
    """
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in _parts(text))):
        name, _, heading = (side.strip() for side in part.partition("="))
        if not name or not heading:
            raise SettingsError(f"--columns: expected NAME=HEADING, found {part!r}; write product_name=title,...")
        if name in columns:
            raise SettingsError(f"--columns: {name!r} stands twice; map each column once")
        columns[name] = heading
    _check_names(columns)
    return columns


def format_columns(columns: Mapping[str, str]) -> str:
    """Undo `parse_columns`: 'product_name=title,brand="name, maker"'."""
    return ",".join(f"{name}={_quoted(heading)}" for name, heading in columns.items())


def _quoted(heading: str) -> str:
    return '"' + heading.replace('"', '""') + '"' if "," in heading or '"' in heading else heading


def _parts(text: str) -> Iterator[str]:
    """The parts between commas, without their quotes; a quote that is doubled inside quotes is one."""
    if _PARTS.fullmatch(text) is None:
        raise SettingsError(f'--columns: expected quotes in pairs, found {text!r}; write brand="name, maker"')
    for found in _PART.finditer(text):
        yield _QUOTED.sub(lambda quoted: quoted[0][1:-1].replace('""', '"'), found[0])


def locate_columns(path: Path, headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Find the catalog's columns among the headings of a file, by their letters: case and Unicode form do not count.

    Args:
        headings: as in the file, in any order.
        columns: {column: heading}, see `parse_columns`; a column that is not named goes by its own name.
    Returns:
        {column: headings as in the file} of the columns the file has, in the order of COLUMNS: one heading, or that of
        each level. Without product_id the rows go by their numbers.
    Raises:
        CatalogError: a mapped heading or every input is missing, or a heading stands twice.
        SettingsError: `columns` names an unknown column.
    """
    _check_names(columns)
    by_letters: dict[str, list[str]] = {}
    for heading in headings:
        by_letters.setdefault(_letters(heading), []).append(heading)
    located = {}
    for name in COLUMNS:
        wanted = columns.get(name, name)
        parts = [wanted] if _letters(wanted) in by_letters else wanted.split(SEPARATOR)
        if len(parts) > 1 and name not in PATH_COLUMNS:
            raise SettingsError(f"--columns: expected one heading for {name}, found {wanted!r}; only paths have levels")
        found = tuple(_found(path, part.strip(), by_letters, name, name in columns) for part in parts)
        if all(found):
            located[name] = found
    if not any(name in located for name in INPUT_COLUMNS):
        raise CatalogError(
            f"{path}: expected at least one of {', '.join(INPUT_COLUMNS)}, found {_listed(headings)};"
            " map a heading with --columns product_name=HEADING"
        )
    return located


def _found(path: Path, wanted: str, by_letters: Mapping[str, Sequence[str]], name: str, is_mapped: bool) -> str:
    """The heading as it stands in the file; '' where a column that nobody mapped is missing."""
    alike = by_letters.get(_letters(wanted), ())
    if not alike:
        if is_mapped:
            headings = [heading for group in by_letters.values() for heading in group]
            raise CatalogError(
                f"{path}: expected a heading {wanted!r} for {name}, found {_listed(headings)};"
                f" name the right one with --columns {name}=HEADING"
            )
        return ""
    exact = [heading for heading in alike if heading.strip() == wanted] or alike
    if len(exact) > 1 and (is_mapped or name not in OFFER_COLUMNS):
        raise CatalogError(f"{path}: the heading {wanted!r} stands twice; rename one of the two")
    return exact[0]


def _letters(heading: str) -> str:
    """The form by which headings are compared: without outer spaces, case and differences of Unicode form."""
    return unicodedata.normalize("NFC", heading).strip().casefold()


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
