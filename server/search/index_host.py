"""The index being served beside the model whose vectors it holds, and the change to a newer pair."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import VectorIndexError
from retrieval.index.description import IndexDescription
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import DESCRIPTION_FILE, open_index, read_description
from retrieval.index.location import is_remote
from server.errors import StoppingError
from server.models.registry import ModelRegistry, ServedModel

_log = logging.getLogger("aisle.server")


@dataclass(eq=False)
class ServedIndex:
    """An open index and the model that embeds for it, which stays loaded for as long.

    Args:
        index_resources: closes the engine; a pair with another model may have the same.
        model_resources: gives the model back.
        num_users: calls and threads that use it.
    """

    location: str
    engine: IndexEngine
    model: ServedModel
    index_resources: ExitStack
    model_resources: ExitStack
    num_users: int = 0


class IndexHost:
    """Serves the index of the newest loaded version that has one.

    A version without an index of its own changes nothing: the pair before answers on, and its version stays loaded.

    Args:
        location: an index, or a folder of indexes in folders of their own.
        writes: whether the index will be changed.
    """

    def __init__(self, location: str, models: ModelRegistry, writes: bool):
        self._location = location
        self._models = models
        self._writes = writes
        self._lock = threading.Lock()
        self._current: ServedIndex | None = None
        self._retired: list[ServedIndex] = []
        self._reported: set[str] = set()
        self._stop_requested = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the index, before the server accepts calls.

        Raises:
            VectorIndexError: no index fits a loaded model, or the one that does cannot be opened.
        """
        if not self._advance():
            raise VectorIndexError(self._no_fit())

    def start(self, poll_s: float) -> None:
        """Look for newer pairs, on a thread of its own."""
        self._thread = threading.Thread(target=self._watch, args=(poll_s,), name="index-watcher", daemon=True)
        self._thread.start()

    @contextmanager
    def lease(self) -> Iterator[ServedIndex]:
        """The index being served; it is not closed before the `with` ends.

        Raises:
            StoppingError: after `close`.
        """
        with self._lock:
            served = self._current
            if served is None:
                raise StoppingError("the server is stopping; send the request to another one")
            served.num_users += 1
        try:
            yield served
        finally:
            self._let_go(served)

    def keep_open(self, served: ServedIndex, work: Future[Any]) -> None:
        """Keep a leased index open until some work with it has ended, even if nobody waits for that any more."""
        with self._lock:
            served.num_users += 1
        work.add_done_callback(lambda _: self._let_go(served))

    @property
    def current(self) -> ServedIndex | None:
        """The index being served; None before `open` and after `close`."""
        return self._current

    def close(self) -> None:
        """Stop looking, and close the index; to be called after the last call has ended."""
        self._stop_requested.set()
        if self._thread is not None:
            self._thread.join()
        self._replace(None)
        self._close_unused()

    def _watch(self, poll_s: float) -> None:
        while not self._stop_requested.wait(poll_s):
            try:
                self._close_unused()
                self._advance()
            except Exception as error:  # the index that is served must not suffer
                self._report(f"the index of a newer version cannot be served: {error}; the one before answers on")

    def _advance(self) -> bool:
        """Serve the newest pair of version and index; False where no index fits any loaded version."""
        by_checksum = {found.embedding_checksum: (location, found) for location, found in self._found().items()}
        for model in self._models:
            if fit := by_checksum.get(model.pool.description.embedding_checksum):
                if self._current is None or self._current.model is not model or not _is_same(self._current, *fit):
                    self._swap(self._pair(model, *fit))
                return True
        if self._current is not None:
            self._report(self._no_fit())
        return False

    def _swap(self, served: ServedIndex) -> None:
        self._replace(served)
        self._reported.clear()
        _log.info(
            "serving index %s (%s, %d products) with %s %s",
            served.location, served.engine.name, len(served.engine), served.model.name, served.model.version,
        )  # fmt: skip

    def _pair(self, model: ServedModel, location: str, description: IndexDescription) -> ServedIndex:
        """An index with a model; the one that is open already stays so, because a folder has one writer."""
        with ExitStack() as resources:
            leased = resources.enter_context(self._models.lease(model.name, model.version))
            current = self._current
            if current is not None and _is_same(current, location, description):
                return ServedIndex(location, current.engine, leased, current.index_resources, resources.pop_all())
            with ExitStack() as index_resources:
                engine = index_resources.enter_context(open_index(location, self._writes))
                return ServedIndex(location, engine, leased, index_resources.pop_all(), resources.pop_all())

    def _replace(self, served: ServedIndex | None) -> None:
        with self._lock:
            if self._current is not None:
                self._retired.append(self._current)
            self._current = served

    def _close_unused(self) -> None:
        """Close what was replaced and has no users any more; not where calls are answered, because it takes long."""
        with self._lock:
            unused = [served for served in self._retired if not served.num_users]
            self._retired = [served for served in self._retired if served.num_users]
            kept = [served.engine for served in (self._current, *self._retired) if served is not None]
        for served in unused:
            served.model_resources.close()
            if served.engine not in kept:
                served.index_resources.close()

    def _let_go(self, served: ServedIndex) -> None:
        with self._lock:
            served.num_users -= 1

    def _found(self) -> dict[str, IndexDescription]:
        """Read the descriptions of the indexes, by location, the newest last; one that is damaged is reported."""
        if is_remote(self._location) or (Path(self._location) / DESCRIPTION_FILE).exists():
            return {self._location: read_description(self._location)}
        folders = sorted(path.parent for path in Path(self._location).glob(f"*/{DESCRIPTION_FILE}"))
        found = {}
        for folder in folders:
            if not folder.name.startswith("."):
                try:
                    found[str(folder)] = read_description(str(folder))
                except VectorIndexError as error:
                    self._report(f"an index is left out: {error}")
        if not found and self._current is None:
            read_description(self._location)  # says what is wrong with it
        return found

    def _no_fit(self) -> str:
        indexes = ", ".join(
            f"{location} ({found.embedding_checksum[:12]})" for location, found in self._found().items()
        )
        models = ", ".join(
            f"{model.name} {model.version} ({model.pool.description.embedding_checksum[:12]})" for model in self._models
        )
        return (
            f"expected an index of the vectors of {models}, found {indexes or 'none'}; build one with python -m"
            " retrieval build --bundle, or serve the bundle of the index"
        )

    def _report(self, text: str) -> None:
        """Log a problem once."""
        if text not in self._reported:
            self._reported.add(text)
            _log.warning("%s", text)


def _is_same(served: ServedIndex, location: str, description: IndexDescription) -> bool:
    """False for an index in another place, and for one that was built anew in the same."""
    return served.location == location and served.engine.description == description
