"""Opens indexes and makes new ones: a folder that is whole or not there, or tables of a PostgreSQL."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from model.errors import VectorIndexError
from retrieval.index.description import IndexDescription
from retrieval.index.engine import IndexEngine
from retrieval.index.local.local_engine import RECORDS_FILE, LocalEngine, OnProgress
from retrieval.index.local.record_store import RecordStore
from retrieval.index.location import is_remote
from retrieval.index.placing import put_in_place
from retrieval.index.record import Attributes

if TYPE_CHECKING:
    from retrieval.index.postgres.postgres_engine import PostgresEngine

DESCRIPTION_FILE = "index.json"
_LOCK_FILE = "writer.lock"


def read_description(location: str) -> IndexDescription:
    """Read the description of an index, without opening it for a search.

    Raises:
        VectorIndexError: there is none, it is damaged, or its database cannot be reached.
    """
    if is_remote(location):
        with open_index(location) as engine:
            return engine.description
    return _read_folder(Path(location))


def read_index_offers(location: str) -> Iterator[tuple[str, Attributes]]:
    """Product ids and attributes of an index, without opening it for a search; as they are when it begins.

    Raises:
        VectorIndexError: there is none, it is damaged, or its database cannot be reached.
    """
    if is_remote(location):
        with open_index(location) as engine:
            yield from ((record.product_id, record.attributes) for record in engine.scan())
        return
    folder = Path(location)
    store = RecordStore(folder / RECORDS_FILE, _read_folder(folder).dims, read_only=True)
    try:
        yield from store.offers()
    finally:
        store.close()


@contextmanager
def open_index(location: str, writes: bool = False, on_progress: OnProgress | None = None) -> Iterator[IndexEngine]:
    """Open an index.

    Args:
        location: folder, or URL of a PostgreSQL (`retrieval/index/postgres/postgres_engine.py` says in which form).
        writes: whether it will be changed; a folder can be open for that in one process only.
        on_progress: called while a graph is brought up to date.
    Raises:
        VectorIndexError: there is none, it is damaged, another process changes it, or its database cannot be reached.
    """
    if is_remote(location):
        engine: IndexEngine = _postgres().open(location)
        try:
            yield engine
        finally:
            engine.close()
        return
    folder = Path(location)
    description = _read_folder(folder)
    if not (folder / RECORDS_FILE).exists():  # SQLite would make an empty one
        raise VectorIndexError(f"{folder / RECORDS_FILE} is missing; build the index again")
    with _only_writer(folder, writes):
        local = LocalEngine(folder, description, read_only=not writes)
        try:
            local.open_graphs(on_progress)
            yield local
        finally:
            local.close()


class IndexBuild:
    """A new index on its way; use as a context manager. What an interrupted build left is gone on with.

    In a folder the index is made aside and takes its name in `finish`, in the place of an older one.

    Args:
        location: as for `open_index`.
        source: what its records come from, hexadecimal; a build that was interrupted goes on with the same one only.
    Attributes:
        engine: takes the records.
        num_done: rows of the catalog that were dealt with in the interrupted build.
        statistics: of the index, after `finish`.
    Raises:
        VectorIndexError: the place is taken by something else, or another process builds there or changes the index.
    """

    def __init__(self, location: str, description: IndexDescription, source: str):
        self.location, self.description, self.source = location, description, source
        self.num_done = 0

    def __enter__(self) -> "IndexBuild":
        if is_remote(self.location):
            self.engine: LocalEngine | PostgresEngine = _postgres().create(self.location, self.description)
            return self
        target = Path(self.location)
        _check_target(target)
        with _kept_from_writers(target):  # refused now, not after hours
            pass
        self._folder = target.with_name(f".{target.name}.partial")
        with _disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = _only_writer(self._folder, True)
        self._lock.__enter__()
        self.num_done = self._num_done()
        if not self.num_done:
            for path in self._folder.iterdir():
                if path.name != _LOCK_FILE:
                    path.unlink()
            _write_json(self._folder / DESCRIPTION_FILE, self.description.to_dict())
        self.engine = LocalEngine(self._folder, self.description)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        if not is_remote(self.location):
            self._lock.__exit__(None, None, None)

    def note_done(self, num_rows: int) -> None:
        """Remember that so many rows of the catalog are in the index, for a build that goes on."""
        self.num_done = num_rows
        if not is_remote(self.location):
            with _disk_errors(self._folder):
                _write_json(self._folder / "progress.json", {"source": self.source, "num_rows": num_rows})

    def finish(self, on_progress: OnProgress | None = None) -> None:
        """Build what searches need, and let the index take its name.

        Raises:
            VectorIndexError: another process changes the index that is there, or the disk refuses; what is built stays
                for another run.
        """
        with _disk_errors(Path(self.location)):
            self.engine.finish_bulk(on_progress)
        self.statistics = self.engine.statistics()
        if is_remote(self.location):
            return
        target = Path(self.location)
        with _kept_from_writers(target), _disk_errors(target):
            self.engine.close()
            (self._folder / "progress.json").unlink(missing_ok=True)
            (self._folder / _LOCK_FILE).unlink()
            put_in_place(self._folder, target)

    def _num_done(self) -> int:
        """Rows of an interrupted build of the same source with the same embedding and settings; 0 for any other."""
        try:
            progress = json.loads((self._folder / "progress.json").read_text(encoding="utf-8"))
            description = _read_folder(self._folder)
        except (OSError, ValueError, VectorIndexError):
            return 0
        same = dataclasses.replace(description, created=self.description.created) == self.description
        return int(progress["num_rows"]) if same and progress["source"] == self.source else 0


def _read_folder(folder: Path) -> IndexDescription:
    path = folder / DESCRIPTION_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VectorIndexError(
            f"{folder} is no index: {DESCRIPTION_FILE} cannot be read ({error.strerror}); give the folder that"
            " python -m retrieval build wrote"
        ) from error
    except ValueError as error:
        raise VectorIndexError(f"{path} is damaged: {error}; build the index again") from error
    return IndexDescription.from_dict(values, str(path))


def _check_target(target: Path) -> None:
    if target.exists() and not (target / DESCRIPTION_FILE).exists() and (not target.is_dir() or any(target.iterdir())):
        raise VectorIndexError(f"{target} exists and is no index; choose another folder or remove it")


@contextmanager
def _only_writer(folder: Path, writes: bool) -> Iterator[None]:
    """Hold the folder's lock, which the kernel lets go of when its holder dies."""
    if not writes:
        yield
        return
    with (folder / _LOCK_FILE).open("a+", encoding="ascii") as file:
        _lock(folder, file)
        yield


def _kept_from_writers(target: Path) -> AbstractContextManager[None]:
    """Nobody may change an index, if there is one, while another takes its place: the changes would be lost."""
    return _only_writer(target, (target / DESCRIPTION_FILE).exists())


def _lock(folder: Path, file: IO[str]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise VectorIndexError(
            f"index {folder} is being changed by the process {holder}; wait for it, or send the changes to that server"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Convert the errors of a disk to one with a sentence."""
    try:
        yield
    except OSError as error:
        raise VectorIndexError(
            f"{error.filename or path} could not be written: {error.strerror or error}; free space or choose another"
            " disk, and run the same command again"
        ) from error


def _write_json(path: Path, value: object) -> None:
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.replace(path)


def _postgres() -> "type[PostgresEngine]":
    try:
        from retrieval.index.postgres.postgres_engine import PostgresEngine
    except ImportError as error:
        raise VectorIndexError(
            f"expected psycopg to reach a PostgreSQL, found none ({error}); run pip install 'psycopg[binary]'"
        ) from error
    return PostgresEngine
