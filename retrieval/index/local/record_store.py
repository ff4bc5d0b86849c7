"""The records of an index in a folder: one SQLite file, the truth that everything else is made from.

Every version of a record has a key of its own, never used again, so that a graph of keys can be compared with it. A
record that was replaced or deleted stays until the next change, marked, for those who still find its key.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import VectorIndexError
from retrieval.index.record import Attributes, IndexRecord, Space

_ATTRIBUTES = tuple(entry.name for entry in fields(Attributes))
_values = attrgetter(*_ATTRIBUTES)
#: SQLite's own limit of variables in a statement is 32,766.
_MOST_VARIABLES = 10_000
_BUSY_TIMEOUT_S = 30.0


class RecordStore:
    """Records in one SQLite file, in write-ahead mode: a change is whole and on disk, or not there. Thread-safe.

    Args:
        dims: numbers in a vector, by space.
        read_only: sees the records as they were when it was opened, whatever a writer changes.
        power_safe: whether a change waits for the disk; without, a kill of the process loses none, a power cut may.
    Raises:
        VectorIndexError: the file is missing, damaged or cannot be opened.
    """

    def __init__(self, path: Path, dims: Mapping[Space, int], read_only: bool = False, power_safe: bool = False):
        self.path = path
        self.dims = dict(dims)
        self.read_only = read_only
        self._synchronous = "full" if power_safe else "normal"
        self._vectors = [f"{space}_vector" for space in self.dims]
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        with self._errors("opened"):
            if read_only:
                self._snapshot = self._connect()
                self._snapshot.execute("begin")
                self._snapshot.execute("select count(*) from products").fetchone()  # here the snapshot is taken
            else:
                self._writer = self._connect()
                self._create_tables()

    def write(self, records: Sequence[IndexRecord], deleted_ids: Sequence[str]) -> tuple[np.ndarray, dict[str, int]]:
        """Replace or insert records and delete others, in one transaction.

        Args:
            records: with different ids.
        Returns:
            the keys of the new versions in order, (N,) int64, and by id those of the versions that they replace or that
            were deleted.
        Raises:
            VectorIndexError: the disk refused; nothing has changed.
        """
        with self._lock, self._errors("written"), self._transaction() as connection:
            connection.execute("delete from products where is_current = 0")
            ids = [*deleted_ids, *(record.product_id for record in records)]
            replaced = self._keys_of(connection, ids)
            marks = ((key,) for key in replaced.values())
            connection.executemany("update products set is_current = 0 where key = ?", marks)
            last = connection.execute("select seq from sqlite_sequence where name = 'products'").fetchone()
            first = (last[0] if last else 0) + 1
            connection.executemany(self._insertion(), map(self._row, records))
            return np.arange(first, first + len(records)), replaced

    def keys(self) -> np.ndarray:
        """(N,) int64, of the current records, ascending."""
        with self._errors("read"):
            cursor = self._reader().execute("select key from products where is_current order by key")
            return np.fromiter((key for (key,) in cursor), np.int64)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Current records by key: key, category, brand, mall, price, and a vector's bytes for each space."""
        columns = ", ".join(("key", "category", "brand", "mall", "price", *self._vectors))
        query = f"select {columns} from products where is_current order by key"
        with self._errors("read"):
            yield from self._reader().execute(query)

    def attributes(self, keys: Sequence[int]) -> dict[int, tuple[str, Attributes]]:
        """Product id and attributes by key; replaced versions are found until the next change."""
        found: dict[int, tuple[str, Attributes]] = {}
        columns = ", ".join(("key", "product_id", *_ATTRIBUTES))
        for part, marks in _parts(keys):
            with self._errors("read"):
                for key, product_id, *values in self._read(
                    f"select {columns} from products where key in ({marks})", part
                ):
                    found[key] = (product_id, _attributes(values))
        return found

    def get(self, product_ids: Sequence[str]) -> list[IndexRecord | None]:
        """Current records by id, None for one that is not there, in order."""
        found: dict[str, IndexRecord] = {}
        for part, marks in _parts(product_ids):
            query = f"{self._selection()} and product_id in ({marks})"
            with self._errors("read"):
                found |= {row[0]: self._record(row) for row in self._read(query, part)}
        return [found.get(product_id) for product_id in product_ids]

    def scan(self) -> Iterator[IndexRecord]:
        """Every current record by key, as they are when it begins."""
        with self._errors("read"), self._lasting_reader() as connection:
            for row in connection.execute(f"{self._selection()} order by key"):
                yield self._record(row)

    def offers(self) -> Iterator[tuple[str, Attributes]]:
        """Product id and attributes of every current record by key, as they are when it begins."""
        query = f"select {', '.join(('product_id', *_ATTRIBUTES))} from products where is_current order by key"
        with self._errors("read"), self._lasting_reader() as connection:
            for product_id, *values in connection.execute(query):
                yield product_id, _attributes(values)

    def close(self) -> None:
        """Close the file for all threads."""
        for connection in self._connections:
            connection.close()
        self._connections = []

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?{self._mode()}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._connections.append(connection)
        if not self.read_only:
            connection.execute("pragma journal_mode = wal")
            connection.execute(f"pragma synchronous = {self._synchronous}")
        return connection

    def _mode(self) -> str:
        """How the file is opened: on a disk that cannot be written, as one that nobody changes.

        Raises:
            VectorIndexError: it cannot be written, and has changes that are not in the file itself yet.
        """
        if not self.read_only:
            return "mode=rwc"
        if os.access(self.path.parent, os.W_OK):
            return "mode=ro"
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise VectorIndexError(
                f"{self.path} cannot be opened on a disk that is read only, because {log.name} holds changes; copy the"
                " index after its writer has closed it"
            )
        return "mode=ro&immutable=1"

    def _create_tables(self) -> None:
        columns = [f"{name} {'real' if name == 'price' else 'text not null'}" for name in _ATTRIBUTES]
        columns += [f"{name} blob" for name in self._vectors]
        self._writer.execute(
            "create table if not exists products (key integer primary key autoincrement, product_id text not null,"
            f" is_current integer not null default 1, {', '.join(columns)})"
        )
        self._writer.execute("create unique index if not exists current_ids on products (product_id) where is_current")
        self._writer.execute("create index if not exists replaced on products (key) where is_current = 0")

    def _reader(self) -> sqlite3.Connection:
        """The snapshot, or this thread's own connection beside the writer's."""
        if self.read_only:
            return self._snapshot
        if not hasattr(self._local, "connection"):
            with self._lock:
                self._local.connection = self._connect()
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextmanager
    def _lasting_reader(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees no later change, so that the thread's own still does."""
        if self.read_only:
            yield self._snapshot
            return
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()
            if connection in self._connections:
                self._connections.remove(connection)

    def _read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = self._reader()
        if not self.read_only:
            return connection.execute(query, values).fetchall()
        with self._lock:  # all threads share the snapshot
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._writer.execute("begin immediate")
        try:
            yield self._writer
            self._writer.execute("commit")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
            raise

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """Convert SQLite's errors to one with a sentence."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            remedy = "free space, then repeat the change" if "full" in str(error) else "check the path and the disk"
            raise VectorIndexError(f"{self.path} could not be {done}: {error}; {remedy}") from error

    @staticmethod
    def _keys_of(connection: sqlite3.Connection, product_ids: Sequence[str]) -> dict[str, int]:
        keys: dict[str, int] = {}
        for part, marks in _parts(product_ids):
            query = f"select product_id, key from products where is_current and product_id in ({marks})"
            keys.update(connection.execute(query, part))
        return keys

    def _insertion(self) -> str:
        columns = ("product_id", *_ATTRIBUTES, *self._vectors)
        return f"insert into products ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"

    def _row(self, record: IndexRecord) -> tuple[Any, ...]:
        vectors = (record.vectors.get(space) for space in self.dims)
        blobs = (None if vector is None else vector.astype(np.float16).tobytes() for vector in vectors)
        return (record.product_id, *_values(record.attributes), *blobs)

    def _selection(self) -> str:
        return f"select {', '.join(('product_id', *_ATTRIBUTES, *self._vectors))} from products where is_current"

    def _record(self, row: Sequence[Any]) -> IndexRecord:
        values, blobs = row[1 : 1 + len(_ATTRIBUTES)], row[1 + len(_ATTRIBUTES) :]
        vectors = {
            space: np.frombuffer(blob, np.float16).astype(np.float32)
            for space, blob in zip(self.dims, blobs, strict=True)
            if blob is not None
        }
        return IndexRecord(row[0], _attributes(values), vectors)


def _attributes(values: Sequence[Any]) -> Attributes:
    given = dict(zip(_ATTRIBUTES, values, strict=True))
    if given["price"] is None:  # SQLite keeps NaN as NULL
        del given["price"]
    return Attributes(**given)


def _parts(values: Sequence[Any]) -> Iterator[tuple[Sequence[Any], str]]:
    for start in range(0, len(values), _MOST_VARIABLES):
        part = values[start : start + _MOST_VARIABLES]
        yield part, ", ".join("?" * len(part))
