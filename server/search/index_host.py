"""The index being served beside the model whose vectors it holds, and the change to a newer pair."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from model.errors import VectorIndexError
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import DESCRIPTION_FILE, open_index, read_description
from retrieval.index.location import is_remote
from server.models.registry import ModelRegistry, ServedModel

_log = logging.getLogger("aisle.server")


class ServedIndex:
    """An open index and the model that embeds for it, which stays loaded for as long.

    Args:
        resources: closes the index and gives the model back.
    """

    def __init__(self, location: str, engine: IndexEngine, model: ServedModel, resources: ExitStack):
        self.location = location
        self.engine = engine
        self.model = model
        self._resources = resources
        self._lock = threading.Lock()
        self._num_users = 0
        self._is_retired = False

    def begin(self) -> None:
        """Count someone who uses it."""
        with self._lock:
            self._num_users += 1

    def end(self) -> None:
        """Stop counting; the last one of a retired index closes it."""
        with self._lock:
            self._num_users -= 1
            is_last = self._is_retired and not self._num_users
        if is_last:
            self._resources.close()

    def retire(self) -> None:
        """Close it once nobody uses it."""
        with self._lock:
            self._is_retired = True
            is_unused = not self._num_users
        if is_unused:
            self._resources.close()


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
        self._current: ServedIndex | None = None
        self._reported = ""
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
        """The index being served; it is not closed before the `with` ends."""
        served = self._current
        assert served is not None, "open comes first"
        served.begin()
        try:
            yield served
        finally:
            served.end()

    @property
    def current(self) -> ServedIndex | None:
        """The index being served; None before `open` and after `close`."""
        return self._current

    def close(self) -> None:
        """Stop looking, and close the index."""
        self._stop_requested.set()
        if self._thread is not None:
            self._thread.join()
        current, self._current = self._current, None
        if current is not None:
            current.retire()

    def _watch(self, poll_s: float) -> None:
        while not self._stop_requested.wait(poll_s):
            try:
                self._advance()
            except Exception as error:  # the index that is served must not suffer
                self._report(f"the index of a newer version cannot be served: {error}; the one before answers on")

    def _advance(self) -> bool:
        """Serve the newest pair of version and index; False where no index fits any loaded version."""
        by_checksum = {checksum: location for location, checksum in self._found().items()}
        for model in self._models:
            location = by_checksum.get(model.pool.description.embedding_checksum)
            if location is None:
                continue
            current = self._current
            if current is None or (current.location, current.model.version) != (location, model.version):
                self._swap(self._open(location, model))
            return True
        if self._current is not None:
            self._report(self._no_fit())
        return False

    def _swap(self, served: ServedIndex) -> None:
        before, self._current = self._current, served
        self._reported = ""
        _log.info(
            "serving index %s (%s, %d products) with %s %s",
            served.location, served.engine.name, len(served.engine), served.model.name, served.model.version,
        )  # fmt: skip
        if before is not None:
            before.retire()

    def _open(self, location: str, model: ServedModel) -> ServedIndex:
        with ExitStack() as stack:
            engine = stack.enter_context(open_index(location, self._writes))
            leased = stack.enter_context(self._models.lease(model.name, model.version))
            return ServedIndex(location, engine, leased, stack.pop_all())

    def _found(self) -> dict[str, str]:
        """Locations of indexes with the checksums of their embeddings, the newest last."""
        if is_remote(self._location) or (Path(self._location) / DESCRIPTION_FILE).exists():
            return {self._location: read_description(self._location).embedding_checksum}
        folders = sorted(path.parent for path in Path(self._location).glob(f"*/{DESCRIPTION_FILE}"))
        folders = [folder for folder in folders if not folder.name.startswith(".")]
        if not folders and self._current is None:
            read_description(self._location)  # says what is wrong with it
        return {str(folder): read_description(str(folder)).embedding_checksum for folder in folders}

    def _no_fit(self) -> str:
        indexes = ", ".join(f"{location} ({checksum[:12]})" for location, checksum in self._found().items())
        models = ", ".join(
            f"{model.name} {model.version} ({model.pool.description.embedding_checksum[:12]})" for model in self._models
        )
        return (
            f"expected an index of the vectors of {models}, found {indexes}; build one with python -m retrieval build"
            " --bundle, or serve the bundle of the index"
        )

    def _report(self, text: str) -> None:
        """Log a problem once."""
        if text != self._reported:
            self._reported = text
            _log.warning("%s", text)
