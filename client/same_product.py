"""The command `python -m client same-product`: whether products of a server's index are one product."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aisle_client.channel import Security
from aisle_client.client import AisleClient
from aisle_client.errors import InputError
from aisle_client.messages import MAX_PRODUCTS_PER_REQUEST
from aisle_client.pair_answer import PairAnswer
from aisle_client.prediction import Failure
from aisle_client.retry import RetryPolicy
from catalog.pairs import Pair, pair_writer, read_pairs
from catalog.rejects import Rejects


@dataclass(frozen=True)
class SameProductCommand:
    """Ask whether products of a server's index are one product: of one pair, or of a file of pairs."""

    target: str = "localhost:50051"
    """HOST:PORT of the server; several IP:PORT, joined by commas, share the requests."""
    left_id: str = ""
    """Id of a product of the index."""
    right_id: str = ""
    """Id of another one."""
    pairs: Path | None = None
    """Instead of one pair: a CSV or TSV with left_id and right_id."""
    precision: float = 0.0
    """Share of the pairs called the same that shall be right, above 0 and below 1; 0 is what the matcher promises."""
    out: Path | None = None
    """CSV file for the answers: left_id, right_id, probability, is_same (1 or 0), error."""
    show: int = 20
    """Most pairs to print."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""
    timeout_s: float = 30.0
    """Longest wait for a request, with all its retries, seconds."""
    max_retries: int = RetryPolicy.max_retries
    """Times that a request is sent again to a server that is not there or overloaded."""


class AnsweredPairsFile:
    """A CSV file of answered pairs; one that failed is a row with its error.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path):
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}") from error
        self._writer = pair_writer(self._file, "probability", "is_same", "error")

    def add(self, pair: Pair, result: PairAnswer | Failure) -> None:
        """Write the row of one pair."""
        if isinstance(result, Failure):
            self._writer.writerow((pair.left_id, pair.right_id, "", "", result.message))
        else:
            self._writer.writerow((pair.left_id, pair.right_id, f"{result.probability:.6f}", int(result.is_same), ""))

    def __enter__(self) -> "AnsweredPairsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def same_product(command: SameProductCommand, console: Console) -> None:
    """Ask, write the file, and print a table with the counts below it.

    Raises:
        InputError: a file or flag cannot be used, or the one pair that is asked about.
        CatalogError: the pairs cannot be read.
        CallError: the server refused a request, has no matcher, or cannot be reached.
    """
    pairs = _pairs(command)
    shown: list[tuple[Pair, PairAnswer | Failure]] = []
    num_same = num_failed = 0
    with (
        AisleClient(
            command.target,
            timeout_s=command.timeout_s,
            retry=RetryPolicy(command.max_retries),
            security=command.security,
        ) as client,
        AnsweredPairsFile(command.out) if command.out else contextlib.nullcontext() as file,
    ):
        for pair, result in _answers(client, pairs, command.precision):
            if isinstance(result, Failure) and command.pairs is None:
                raise InputError(f"{command.target} answered {result.code}: {result.message}")
            num_failed += isinstance(result, Failure)
            num_same += isinstance(result, PairAnswer) and result.is_same
            if file is not None:
                file.add(pair, result)
            if len(shown) < command.show:
                shown.append((pair, result))
    console.print(_table(shown))
    failed = f", {num_failed:,} failed" if num_failed else ""
    console.print(f"{len(pairs):,} pairs, {num_same:,} the same{failed}")


def _pairs(command: SameProductCommand) -> list[Pair]:
    is_one = bool(command.left_id or command.right_id)
    if is_one == (command.pairs is not None) or (is_one and not (command.left_id and command.right_id)):
        raise InputError("expected --left-id ID and --right-id ID, or --pairs FILE; give one of them")
    if not 0 <= command.precision < 1:
        raise InputError(f"--precision: expected above 0 and below 1, or 0; found {command.precision:g}")
    if command.pairs is None:
        return [Pair(command.left_id, command.right_id)]
    with Rejects(None) as rejects:
        return read_pairs(command.pairs, None, rejects)


def _answers(
    client: AisleClient, pairs: Iterable[Pair], precision: float
) -> Iterator[tuple[Pair, PairAnswer | Failure]]:
    """Ask part by part."""
    pairs = iter(pairs)
    while part := list(itertools.islice(pairs, MAX_PRODUCTS_PER_REQUEST)):
        found = client.same_product([(pair.left_id, pair.right_id) for pair in part], precision)
        yield from zip(part, found, strict=True)


def _table(answers: Sequence[tuple[Pair, PairAnswer | Failure]]) -> Table:
    table = Table()
    for heading in ("left_id", "right_id", "probability", "is_same"):
        table.add_column(heading, justify="right" if heading == "probability" else "left", overflow="fold")
    for pair, result in answers:
        ids = Text(pair.left_id), Text(pair.right_id)
        if isinstance(result, Failure):
            table.add_row(*ids, "", Text(result.message, "red"))
        else:
            table.add_row(*ids, f"{result.probability:.4f}", "yes" if result.is_same else "no")
    return table
