"""Files of training pairs: which rows of a catalog show the same product."""

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from catalog.formats.text_lines import printable
from model.errors import CatalogError

PAIR_COLUMNS = ("left_id", "right_id", "same")
_SAME = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class RowPair:
    """Two rows of a catalog.

    Args:
        line: in the file, from 1.
        is_same: whether they are the same product.
    """

    line: int
    left_id: str
    right_id: str
    is_same: bool


def read_pairs(path: Path) -> list[RowPair]:
    """Read a CSV file with left_id, right_id and same, which is 1 or 0; other columns are not read.

    Raises:
        CatalogError: it cannot be read, lacks a column or any pair, or a line is wrong; names file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            pairs = list(_pairs(path, file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogError(
            f"{path} cannot be read: {error}; expected a CSV file in UTF-8 with {', '.join(PAIR_COLUMNS)}"
        ) from error
    if not pairs:
        raise CatalogError(f"{path}: expected pairs, found none; see what retrieval pairs dropped, and why")
    return pairs


def product_of_rows(path: Path, known_ids: Collection[str]) -> dict[str, str]:
    """Read which product each row of a file of pairs is: rows that pairs connect are one (union-find, Tarjan 1975).

    Rows that are the same as no other are products by themselves, as what others are told from.

    Args:
        known_ids: product_id of the catalogs' rows.
    Returns:
        product by product_id: the first id of its rows in the file.
    Raises:
        CatalogError: see `read_pairs`; an id is unknown.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents[name] != name:
            parents[name] = name = parents[parents[name]]
        return name

    for pair in read_pairs(path):
        for name in (pair.left_id, pair.right_id):
            if name not in known_ids:
                raise CatalogError(
                    f"{path}, line {pair.line}: expected the product_id of a row of the catalog, found"
                    f" {printable(name)!r}; give the catalog that the pairs were made from"
                )
            parents.setdefault(name, name)
        if pair.is_same:
            parents[root(pair.right_id)] = root(pair.left_id)
    return {name: root(name) for name in parents}


def pair_writer(file: IO[str], last_column: str) -> Any:
    """Start a file of pairs, and return its csv.writer.

    Args:
        last_column: `same`, or what stands in its place.
    """
    writer = csv.writer(file)
    writer.writerow((*PAIR_COLUMNS[:2], last_column))
    return writer


def _pairs(path: Path, file: IO[str]) -> Iterator[RowPair]:
    reader = csv.reader(file)
    heading = next(reader, [])
    missing = [column for column in PAIR_COLUMNS if column not in heading]
    if missing:
        raise CatalogError(
            f"{path}, line 1: expected the headings {', '.join(PAIR_COLUMNS)}, found"
            f" {', '.join(map(printable, heading)) or 'nothing'}; add {missing[0]}"
        )
    positions = [heading.index(column) for column in PAIR_COLUMNS]
    line = reader.line_num + 1
    for cells in reader:
        if cells:
            yield _pair(path, line, cells, positions)
        line = reader.line_num + 1


def _pair(path: Path, line: int, cells: list[str], positions: list[int]) -> RowPair:
    if len(cells) <= max(positions):
        raise CatalogError(f"{path}, line {line}: expected {max(positions) + 1} cells or more, found {len(cells)}")
    left, right, same = (cells[position].strip() for position in positions)
    if not left or not right:
        raise CatalogError(f"{path}, line {line}: expected two ids, found an empty one; fill it in, or remove the line")
    if same.lower() not in _SAME:
        raise CatalogError(f"{path}, line {line}: expected 1 or 0 for same, found {printable(same)!r}")
    return RowPair(line, left, right, _SAME[same.lower()])
