"""A catalog file parsed once: good rows in Arrow's format on disk, rejected rows and statistics beside them."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow
from pyarrow import ipc
from tqdm import tqdm

from catalog.columns import OFFER_COLUMNS
from catalog.read_options import ReadOptions
from catalog.rejects import RejectSink
from catalog.rows import CatalogRow, catalog_digest, read_catalog
from catalog.statistics import CatalogStatistics, StatisticsCounter
from model.product import TEXT_FIELDS
from training.encoding.cache_entry import new_cache_entry
from training.encoding.file_lock import exclusive

#: Part of the cache key; raise it when rows are read or written in another way.
_VERSION = 5
_ROWS, _REJECTS, _STATISTICS = "rows.arrow", "rejects.jsonl", "statistics.json"
_COMPRESSED = ipc.IpcWriteOptions(compression="zstd")
_SCHEMA = pyarrow.schema(
    [("line", pyarrow.int64())]
    + [(name, pyarrow.string()) for name in ("product_id", *TEXT_FIELDS, "image", "category", *OFFER_COLUMNS)]
)
#: Positions in a row: line, product_id, texts, image, category, what is of the offer.
_IMAGE = 2 + len(TEXT_FIELDS)
_NO_REJECT = (0, None)


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedFile:
    """Good rows of one file in the cache, all or some.

    Args:
        folder: its place in the cache.
        chosen: (N,) bool over all its good rows; None is all of them.
        has_rejects: whether its rejected rows are passed on.
    """

    path: Path
    folder: Path
    chosen: np.ndarray | None = None
    has_rejects: bool = True

    def rows(self, chunk_rows: int = 8192, rejects: RejectSink | None = None) -> Iterator[list[CatalogRow]]:
        """Stream the rows in file order; see `ParsedCatalog.rows`."""
        with pyarrow.memory_map(str(self.folder / _ROWS)) as file:
            chunks = _in_chunks(ipc.open_file(file), chunk_rows)
            if rejects is not None and self.has_rejects:
                chunks = self._with_rejects(chunks, rejects)
            yield from chunks if self.chosen is None else self._chosen(chunks, self.chosen)

    @staticmethod
    def _chosen(chunks: Iterator[list[CatalogRow]], chosen: np.ndarray) -> Iterator[list[CatalogRow]]:
        start = 0
        for chunk in chunks:
            kept = list(compress(chunk, chosen[start : start + len(chunk)]))
            start += len(chunk)
            if kept:
                yield kept

    def _with_rejects(self, chunks: Iterator[list[CatalogRow]], rejects: RejectSink) -> Iterator[list[CatalogRow]]:
        """Pass chunks on, before each the rejects of the file up to its end."""
        rejected = self._rejected()
        num_rows_before, reject = next(rejected, _NO_REJECT)
        num_rows = 0
        for chunk in chain(chunks, [[]]):
            num_rows = num_rows + len(chunk) if chunk else sys.maxsize
            while reject is not None and num_rows_before < num_rows:
                rejects.add(self.path, *reject)
                num_rows_before, reject = next(rejected, _NO_REJECT)
            if chunk:
                yield chunk

    def _rejected(self) -> Iterator[tuple[int, tuple[int, str, str] | None]]:
        with (self.folder / _REJECTS).open(encoding="ascii") as lines:
            for text in lines:
                num_rows_before, line, product_id, reason = json.loads(text)
                yield num_rows_before, (line, product_id, reason)


@dataclasses.dataclass(frozen=True, eq=False)
class ParsedCatalog:
    """Good rows of a catalog as read from the cache: of one file, of some of its rows, or of several files.

    Args:
        path: the catalog file, of several the first.
        digest: hexadecimal, equal for equal rows.
    """

    path: Path
    digest: str
    statistics: CatalogStatistics
    files: tuple[ParsedFile, ...]

    def rows(self, chunk_rows: int = 8192, rejects: RejectSink | None = None) -> Iterator[list[CatalogRow]]:
        """Stream the rows in order.

        Args:
            chunk_rows: rows at a time, 1 or more.
            rejects: receives every row of the files that could not be read.
        """
        for file in self.files:
            yield from file.rows(chunk_rows, rejects)

    def offer_column(self, column: str) -> list[str]:
        """The texts of one of `catalog.columns.OFFER_COLUMNS`, a row each, '' where it is missing."""
        return [row.offer_text(column) for rows in self.rows() for row in rows]

    def select(self, chosen: np.ndarray, has_rejects: bool = False) -> "ParsedCatalog":
        """Some of the rows.

        Args:
            chosen: (N,) bool over the rows.
            has_rejects: whether the files' rejected rows go with them.
        """
        files, start = [], 0
        for file in self.files:
            within = np.ones(self._num_rows(file), bool) if file.chosen is None else file.chosen.copy()
            positions = np.flatnonzero(within)
            within[positions] = chosen[start : start + len(positions)]
            start += len(positions)
            files.append(dataclasses.replace(file, chosen=within, has_rejects=file.has_rejects and has_rejects))
        digest = hashlib.sha256(self.digest.encode() + np.packbits(chosen).tobytes()).hexdigest()[:24]
        return ParsedCatalog(self.path, digest, _counted(self.path, files), tuple(files))

    def joined(self, other: "ParsedCatalog") -> "ParsedCatalog":
        """The rows of this catalog, then those of another."""
        files = (*self.files, *other.files)
        digest = hashlib.sha256(f"{self.digest} {other.digest}".encode()).hexdigest()[:24]
        return ParsedCatalog(self.path, digest, _counted(self.path, files), files)

    @staticmethod
    def _num_rows(file: ParsedFile) -> int:
        statistics = json.loads((file.folder / _STATISTICS).read_text(encoding="utf-8"))
        return int(statistics["num_rows"])


def parse_catalog(path: Path, options: ReadOptions, cache_dir: Path) -> ParsedCatalog:
    """Parse a catalog into the cache, or open what an earlier run left.

    Args:
        path, options: see `catalog.rows.read_catalog`.
    Raises:
        CatalogError: the file as a whole cannot be read.
    """
    parts = [_VERSION, catalog_digest(path), path.suffixes, options.changed(), _SCHEMA.names]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_dir / "catalogs" / key
    with exclusive(cache_dir / "locks" / key):  # of two processes that want it the second one finds it
        if not folder.exists():
            _parse(path, options, folder)
    values = json.loads((folder / _STATISTICS).read_text(encoding="utf-8"))
    return ParsedCatalog(path, key, CatalogStatistics(path, **values), (ParsedFile(path, folder),))


def _counted(path: Path, files: Iterable[ParsedFile]) -> CatalogStatistics:
    counter = StatisticsCounter(path)
    for file in files:
        for rows in file.rows():
            counter.add(rows)
    return counter.statistics()


def _parse(path: Path, options: ReadOptions, folder: Path) -> None:
    with new_cache_entry(folder) as entry:
        values = dataclasses.asdict(_write(path, options, entry))
        del values["path"]
        (entry / _STATISTICS).write_text(json.dumps(values), encoding="utf-8")


def _write(path: Path, options: ReadOptions, folder: Path) -> CatalogStatistics:
    counter = StatisticsCounter(path, options)
    with (
        (folder / _REJECTS).open("w", encoding="ascii") as rejected,
        ipc.new_file(str(folder / _ROWS), _SCHEMA, options=_COMPRESSED) as rows_file,
        tqdm(desc=f"Read {path.name}", unit=" rows", unit_scale=True, delay=1) as bar,
    ):
        sink = _RejectLines(rejected, counter)
        for rows in read_catalog(path, options, rejects=sink, spellings=counter.spellings):
            rows_file.write_batch(_batch(rows))
            counter.add(rows)
            bar.update(len(rows))
    return counter.statistics()


class _RejectLines:
    """Writes rejected rows as JSON lines, each with the number of good rows before its chunk."""

    def __init__(self, file: IO[str], counter: StatisticsCounter):
        self._file, self._counter = file, counter

    def add(self, _: Path | str, line: int, product_id: str, reason: str) -> None:
        self._file.write(json.dumps((self._counter.num_rows, line, product_id, reason)) + "\n")


def _batch(rows: Sequence[CatalogRow]) -> pyarrow.RecordBatch:
    cells = [(row.line, row.product_id, *row.texts, row.image, row.category, *row.offer) for row in rows]
    arrays = [pyarrow.array(values, kind) for values, kind in zip(zip(*cells, strict=True), _SCHEMA.types, strict=True)]
    return pyarrow.record_batch(arrays, schema=_SCHEMA)


def _in_chunks(reader: Any, chunk_rows: int) -> Iterator[list[CatalogRow]]:
    """Read rows at most `chunk_rows` at a time; a chunk ends with its batch."""
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        for start in range(0, batch.num_rows, chunk_rows):
            columns = [column.to_pylist() for column in batch.slice(start, chunk_rows).columns]
            yield [
                CatalogRow(cells[0], cells[1], cells[2:_IMAGE], cells[_IMAGE], cells[_IMAGE + 1], cells[_IMAGE + 2 :])
                for cells in zip(*columns, strict=True)
            ]
