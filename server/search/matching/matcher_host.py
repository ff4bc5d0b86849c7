"""Keeps a matcher's process beside the index that is served, and gives it the pairs of many requests at a time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import MatcherError
from retrieval.index.record import MATCHED_SPACES
from server.errors import MatcherDownError, MatcherMismatchError
from server.search.index_host import IndexHost, ServedIndex
from server.search.matching.config import MatcherConfig
from server.search.matching.matcher_process import MatcherProcess, ServedMatcher
from server.search.matching.pair_batch import PairAnswers, PairRequest, merged
from server.settings import ServerSettings

#: Pairs of a batch; more make the last of them wait longer and the others no quicker.
_MAX_BATCH_PAIRS = 256
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True)
class _Work:
    request: PairRequest
    answers: Future[PairAnswers] = field(default_factory=Future)


class MatcherHost:
    """Answers pairs with a process that is started anew when it has ended, or when its catalog has changed.

    Args:
        folder: of the matcher.
        index: whose current index is the catalog.
    """

    def __init__(self, folder: Path, index: IndexHost, settings: ServerSettings):
        self._folder = folder
        self._index = index
        self._settings = settings
        self._process: MatcherProcess | None = None
        self._answering = threading.Lock()  # held while a process answers, or takes the place of another
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._num_changes = 0
        self._known: tuple[object, int, int] | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._answer_batches, "matcher"), (self._keep_fresh, "matcher-refresh"))
        ]

    def open(self) -> None:
        """Start the process, before the server accepts calls.

        Raises:
            MatcherError: the matcher cannot be read, or compares vectors of another model than the index holds.
        """
        self._start()
        try:
            self.check(self._current())
        except MatcherMismatchError as error:
            self.close()
            raise MatcherError(str(error)) from None
        for thread in self._threads:
            thread.start()

    def check(self, index: ServedIndex) -> None:
        """Check that the matcher can compare the products of an index.

        Raises:
            MatcherMismatchError: it compares vectors of another embedding.
        """
        expected = self.served.embedding_checksum
        found = index.engine.description.embedding_checksum
        if expected and expected != found:
            raise MatcherMismatchError(
                f"the matcher {self._folder.name} compares vectors of the embedding {expected[:12]}, the index holds"
                f" those of {found[:12]}; train it again with python -m retrieval train-matcher --index"
            )

    @property
    def served(self) -> ServedMatcher:
        """The matcher that the last process loaded."""
        return self._served

    def note_changes(self, num_products: int) -> None:
        """Remember that products of the index were changed."""
        self._num_changes += num_products

    def submit(self, request: PairRequest) -> Future[PairAnswers]:
        """Have pairs compared; the answer raises MatcherDownError where the process has ended."""
        work = _Work(request)
        self._works.put(work)
        return work.answers

    def close(self) -> None:
        """End the process and the threads."""
        self._closing.set()
        self._works.put(None)
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._process is not None:
            self._process.close()

    def _current(self) -> ServedIndex:
        current = self._index.current
        assert current is not None  # the index host is opened before and closed after
        return current

    def _state(self) -> tuple[object, int, int]:
        """A value that changes with the products of the index."""
        engine = self._current().engine
        return engine, len(engine), self._num_changes

    def _start(self) -> None:
        """Start a process that knows the index as it is, and let it take the place of the one before."""
        state = self._state()
        config = MatcherConfig(str(self._folder), self._current().location, self._settings.log_format)
        process = MatcherProcess(config)
        with self._answering:
            before, self._process = self._process, process
            self._served, self._known = process.served, state
        if before is not None:
            before.close()
        _log.info("serving matcher %s, which knows %d products", self._folder, process.served.num_products)

    def _keep_fresh(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._closing.is_set():
            is_down = self._process is None
            interval_s = retry_s if is_down else self._settings.matcher_refresh_s
            self._wake.wait(interval_s or None)
            if self._closing.is_set():
                return
            self._wake.clear()
            try:
                if self._process is None or self._state() != self._known:
                    self._start()
                retry_s = _FIRST_RETRY_S
            except Exception as error:  # the matcher that is served must not suffer
                _log.warning("the matcher cannot be started: %s; trying again in %g s", error, retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _answer_batches(self) -> None:
        while (work := self._works.get()) is not None:
            works = [work]
            while sum(len(one.request.pairs) for one in works) < _MAX_BATCH_PAIRS:
                try:
                    following = self._works.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._works.put(None)
                    break
                works.append(following)
            works = [one for one in works if one.answers.set_running_or_notify_cancel()]
            if works:
                self._answer(works)

    def _answer(self, works: Sequence[_Work]) -> None:
        spaces = MATCHED_SPACES if self.served.embedding_checksum else ()
        with self._answering:
            process = self._process
            try:
                if process is None:
                    raise MatcherDownError
                answers = process.answer(merged([work.request for work in works], spaces))
            except MatcherDownError as error:
                if process is not None:
                    _log.warning("the matcher's process is started anew: %s", error)
                    process.close()
                    self._process = None
                    self._wake.set()
                failed = MatcherDownError("the matcher is being started anew; send the request again")
                for work in works:
                    work.answers.set_exception(failed)
                return
            except Exception as error:  # a thread that ended would leave all later requests waiting
                for work in works:
                    work.answers.set_exception(error)
                return
        start = 0
        for work in works:
            stop = start + len(work.request.pairs)
            work.answers.set_result(answers.part(start, stop))
            start = stop
