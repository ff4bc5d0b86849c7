"""Rows that were left out: counted, logged and listed in a file."""

import csv
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from catalog.formats.text_lines import printable
from model.errors import CatalogError

logger = logging.getLogger("aisle.catalog")

HEADING = ("file", "line", "product_id", "reason")
#: So many rejects are logged one by one; the rest is in the file and in the summary.
NUM_LOGGED = 20


@dataclass(frozen=True)
class RejectsMark:
    """A place in a list of rejects, to go on from after an interruption.

    Args:
        count, num_lost_pictures, counts_by_reason: see `Rejects`.
        num_bytes: length of its file; 0 without one.
    """

    count: int
    num_lost_pictures: int
    counts_by_reason: dict[str, int]
    num_bytes: int


class RejectSink(Protocol):
    """Receives rejected rows one by one."""

    def add(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        """Reject one row; see `Rejects.add`."""


class Rejects:
    """Collects rejected rows; thread-safe.

    A reason reads 'kind: what was expected and found, what to do'; the kind is what is counted.

    Args:
        path: CSV file to write, made with the first reject; an older rejects file there is removed. None: no file.
        mark: of an interrupted run with the same path; what it has listed stays, up to there.
    Raises:
        CatalogError: `path` holds something else than rejects, or less than was listed, or cannot be written.
    """

    def __init__(self, path: Path | None, mark: RejectsMark | None = None):
        self.path = path
        self.count = mark.count if mark else 0
        self.num_lost_pictures = mark.num_lost_pictures if mark else 0
        self.counts_by_reason = Counter(mark.counts_by_reason if mark else {})
        self._has_written = bool(mark and mark.num_bytes)
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        if path is not None and mark is not None and mark.num_bytes:
            _cut(path, mark.num_bytes)
        elif path is not None:
            _remove_older(path)

    def add(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        """Reject one row.

        Args:
            line: where the row begins, from 1; the row's number in a Parquet file.
            product_id: '' when it is not known.
        """
        product_id, reason = printable(product_id), printable(reason)
        with self._lock:
            self.count += 1
            self.counts_by_reason[reason.partition(":")[0]] += 1
            self._write((str(file), str(line), product_id, reason))
            if self.count <= NUM_LOGGED:
                logger.warning("%s, line %d, product %r is left out: %s", file, line, product_id, reason)
            elif self.count == NUM_LOGGED + 1:
                logger.warning("more than %d rows are left out; the rest is counted%s", NUM_LOGGED, self._listed())

    def add_lost_picture(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        """List a row that counts, but without its picture; see `add`."""
        product_id, reason = printable(product_id), printable(reason)
        with self._lock:
            self.num_lost_pictures += 1
            self._write((str(file), str(line), product_id, f"{reason}; the row counts without it"))
            if self.num_lost_pictures <= NUM_LOGGED:
                logger.warning("%s, line %d, product %r counts without its picture: %s", file, line, product_id, reason)
            elif self.num_lost_pictures == NUM_LOGGED + 1:
                logger.warning("more than %d pictures are lost; the rest is counted%s", NUM_LOGGED, self._listed())

    def mark(self) -> RejectsMark:
        """The place after the rejects so far."""
        with self._lock:
            num_bytes = self.path.stat().st_size if self.path is not None and self._has_written else 0
            return RejectsMark(self.count, self.num_lost_pictures, dict(self.counts_by_reason), num_bytes)

    def summary(self) -> str:
        """'3 rows left out: 2 duplicate product_id, 1 no label; 5 rows count without their picture, ...; see FILE'."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.counts_by_reason.most_common())
        rows = "1 row" if self.count == 1 else f"{self.count:,} rows"
        parts = [f"{rows} left out: {kinds}"] if self.count else []
        if self.num_lost_pictures:
            parts.append(f"{self.num_lost_pictures:,} rows count without their picture, which cannot be read")
        return "; ".join(parts) + self._listed() if parts else "no row left out"

    def close(self) -> None:
        """Close the file and log the summary, once."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
        if self.count or self.num_lost_pictures:
            logger.warning("%s", self.summary())

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listed(self) -> str:
        return "" if self.path is None else see_rejects(self.path)

    def _write(self, cells: tuple[str, ...]) -> None:
        if self.path is None:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a" if self._has_written else "w", encoding="utf-8", newline="")
                if not self._has_written:
                    csv.writer(self._file).writerow(HEADING)
                self._has_written = True
            csv.writer(self._file).writerow(cells)
            self._file.flush()
        except OSError as error:
            raise CatalogError(f"rejects file {self.path} cannot be written: {error}; choose another place") from error


def see_rejects(path: Path) -> str:
    """'; see FILE' for the end of a sentence; '' where nothing was rejected, and there is no such file."""
    return f"; see {path}" if path.exists() else ""


def common_reason(path: Path) -> str:
    """The first reason in a rejects file where all are of one kind; '' where they are not.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    return reasons[0] if len({reason.partition(":")[0] for reason in reasons}) == 1 else ""


def _cut(path: Path, num_bytes: int) -> None:
    """Remove what an interrupted run has listed after a mark."""
    try:
        with path.open("r+b") as file:
            if file.seek(0, 2) < num_bytes:
                raise CatalogError(f"{path} is shorter than the interrupted run left it; leave out --resume")
            file.truncate(num_bytes)
    except OSError as error:
        raise CatalogError(f"rejects file {path} cannot be continued: {error}; leave out --resume") from error


def _remove_older(path: Path) -> None:
    try:
        with path.open("rb") as file:
            is_rejects = file.readline(100).rstrip() == ",".join(HEADING).encode()
        if not is_rejects:
            raise CatalogError(f"{path} exists and is no rejects file; choose another name or remove it")
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise CatalogError(f"rejects file {path} cannot be replaced: {error}; choose another place") from error
