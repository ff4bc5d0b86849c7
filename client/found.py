"""Answers of the `similar` command: the printed table, the CSV file, and the counts."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.table import Table
from rich.text import Text

from aisle_client.errors import InputError
from aisle_client.hits import Hit, Hits
from aisle_client.prediction import Failure

_ATTRIBUTES = ("product_name", "category", "brand", "mall", "price", "group_id", "item_id")
#: Of the printed table.
_HEADINGS = ("rank", "product", "score", "name", "category", "brand", "price")
_NUMBERS = ("rank", "score", "price")
_COLUMNS = ("query", "rank", "product_id", "score", *_ATTRIBUTES, "error", "lost_picture")


@dataclass(frozen=True)
class Found:
    """One question with its hits, or the reason why there are none.

    Args:
        query: what was asked about, for people.
        lost_picture: why it was asked about without its picture; '' when it was not.
    """

    query: str
    result: Hits | Failure
    lost_picture: str = ""


class FoundCounts:
    """Counts of the questions so far."""

    def __init__(self) -> None:
        self.num_queries = self.num_hits = self.num_without = self.num_failed = self.num_lost_pictures = 0

    def add(self, found: Found) -> None:
        """Count one question."""
        self.num_queries += 1
        self.num_lost_pictures += bool(found.lost_picture)
        if isinstance(found.result, Failure):
            self.num_failed += 1
        else:
            self.num_hits += len(found.result.hits)
            self.num_without += not found.result.hits

    def line(self) -> str:
        """Return the line to print below the table."""
        without = f", {self.num_without} without hits" if self.num_without else ""
        failed = f", {self.num_failed} failed" if self.num_failed else ""
        lost = f", {self.num_lost_pictures} asked about without their picture" if self.num_lost_pictures else ""
        return f"{self.num_queries} products, {self.num_hits} hits{without}{failed}{lost}"


class FoundFile:
    """A CSV file of hits, a row a hit; a question that failed is a row with its error.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path):
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}") from error
        self._writer = csv.DictWriter(self._file, _COLUMNS)
        self._writer.writeheader()

    def add(self, found: Found) -> None:
        """Write the rows of one question."""
        asked = {"query": found.query, "lost_picture": found.lost_picture}
        if isinstance(found.result, Failure):
            self._writer.writerow(asked | {"error": found.result.message})
            return
        for rank, hit in enumerate(found.result.hits, start=1):
            row = {name: getattr(hit, name) for name in _ATTRIBUTES}
            row |= asked | {"rank": rank, "product_id": hit.product_id}
            self._writer.writerow(row | {"score": f"{hit.score:.6f}", "price": _price(hit)})

    def __enter__(self) -> "FoundFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def found_table(found: Sequence[Found]) -> Table:
    """Build the table to print; where several products were asked about, with a section for each."""
    with_query = len(found) > 1
    table = Table(title=None if with_query else _title(found))
    for heading in (*(("query",) if with_query else ()), *_HEADINGS):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", overflow="fold")
    for one in found:
        query = [Text(one.query)] if with_query else []
        if isinstance(one.result, Failure):
            table.add_row(*query, "", Text(one.result.message, "red"))
        elif not one.result.hits:
            table.add_row(*query, "", Text("no hit", "yellow"))
        else:
            for rank, hit in enumerate(one.result.hits, start=1):
                table.add_row(*(query if rank == 1 else [Text("")] * len(query)), *_cells(rank, hit))
        table.add_section()
    return table


def _title(found: Sequence[Found]) -> Text | None:
    spaces = [f"Similar products by {one.result.space} vectors" for one in found if isinstance(one.result, Hits)]
    return Text(spaces[0]) if spaces else None


def _cells(rank: int, hit: Hit) -> list[Text]:
    texts = (str(rank), hit.product_id, f"{hit.score:.3f}", hit.product_name, hit.category, hit.brand, _price(hit))
    return [Text(text) for text in texts]


def _price(hit: Hit) -> str:
    return "" if hit.price is None else f"{hit.price:.15g}"
