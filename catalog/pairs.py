"""Pairs of rows of a catalog in files: asked about, answered by people, or labelled for training."""

import csv
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from catalog.formats.delimited_records import delimited_records
from catalog.formats.text_lines import printable
from catalog.rejects import RejectSink
from model.errors import CatalogError

PAIR_COLUMNS = ("left_id", "right_id", "same")
_IDS = PAIR_COLUMNS[:2]
_ANSWERS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows of a catalog.

    Args:
        same: whether they are one product; None is not known.
    """

    left_id: str
    right_id: str
    same: bool | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Both ids, the same whichever is left."""
        return (self.left_id, self.right_id) if self.left_id < self.right_id else (self.right_id, self.left_id)


def read_pairs(path: Path, known_ids: Container[str] | None, rejects: RejectSink) -> list[Pair]:
    """Read a CSV or TSV of left_id and right_id; other columns are ignored. Bad rows are rejected, the rest is read.

    Args:
        known_ids: ids of the catalog; None takes any.
    Raises:
        CatalogError: the file cannot be read, or has other headings.
    """
    return [pair for _, pair in _pairs(path, known_ids, rejects)]


def read_labelled_pairs(paths: Sequence[Path], known_ids: Container[str], rejects: RejectSink) -> list[Pair]:
    """Read CSV or TSV files of left_id, right_id and same (1 or 0), each pair once.

    A row without an answer is passed over, as in a file of questions that is half answered. Rows that contradict each
    other are all rejected.

    Raises:
        CatalogError: a file cannot be read, or has other headings.
    """
    found: dict[tuple[str, str], tuple[Path, int, Pair]] = {}
    contradicted: set[tuple[str, str]] = set()
    for path in paths:
        for line, pair in _pairs(path, known_ids, rejects, with_answer=True):
            if pair.same is None:
                continue
            first = found.setdefault(pair.key, (path, line, pair))
            if first[2].same != pair.same:
                where = f"{first[0].name}, line {first[1]}"
                reason = f"contradiction: expected the same answer as in {where}, found the other; keep the right one"
                rejects.add(path, line, pair.left_id, reason)
                contradicted.add(pair.key)
    for key in contradicted:
        path, line, pair = found.pop(key)
        rejects.add(path, line, pair.left_id, "contradiction: another row says the other; keep the right one")
    return [pair for _, _, pair in found.values()]


def pair_writer(file: IO[str], *more_columns: str) -> Any:
    """Start a file of pairs, and return its csv.writer.

    Args:
        more_columns: after left_id and right_id.
    """
    writer = csv.writer(file)
    writer.writerow((*_IDS, *more_columns))
    return writer


def _pairs(
    path: Path, known_ids: Container[str] | None, rejects: RejectSink, with_answer: bool = False
) -> Iterator[tuple[int, Pair]]:
    """Good rows with their lines."""
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        raise CatalogError(f"{path}: expected pairs in a file that ends in .csv or .tsv; convert it")

    def on_bad(line: int, _fields: list[str], reason: str) -> None:
        rejects.add(path, line, "", reason)

    records = delimited_records(path, on_bad)
    headings = [heading.strip() for heading in next(records)[1]]
    wanted = PAIR_COLUMNS if with_answer else _IDS
    for name in wanted:
        if headings.count(name) != 1:
            listed = ", ".join(f"'{printable(heading)}'" for heading in headings)
            raise CatalogError(f"{path}: expected headings {', '.join(wanted)}, found {listed}; rename them")
    positions = [headings.index(name) for name in wanted]
    for line, fields in records:
        left_id, right_id, *answer = (fields[position] for position in positions)
        if reason := _fault(left_id, right_id, known_ids, answer):
            rejects.add(path, line, left_id, reason)
        else:
            yield line, Pair(left_id, right_id, _ANSWERS.get(answer[0].strip().lower()) if answer else None)


def _fault(left_id: str, right_id: str, known_ids: Container[str] | None, answer: Sequence[str]) -> str:
    """Return the reason why a row cannot be used, '' when it can."""
    for name, product_id in zip(_IDS, (left_id, right_id), strict=True):
        if known_ids is not None and product_id not in known_ids:
            return f"unknown id: {name} {printable(product_id)!r} is not in the catalog; correct it"
    if left_id == right_id:
        return "pair with itself: expected two products, found one; remove the row"
    if answer and answer[0].strip() and answer[0].strip().lower() not in _ANSWERS:
        return f"unknown answer: expected 1 or 0 in same, found {printable(answer[0])!r}; correct it"
    return ""
