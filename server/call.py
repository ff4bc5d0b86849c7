"""The calls in flight, and what each of them waits for."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import TypeVar

import grpc

from server.errors import TooManyCallsError

T = TypeVar("T")

_RETRY_AFTER_S = 1.0


class Call:
    """One call's open futures; when the caller leaves, they are cancelled and their work is not done.

    Args:
        deadline_s: when the caller will have left at the latest, on the clock of `time.perf_counter`.
    """

    def __init__(self, deadline_s: float):
        self.deadline_s = deadline_s
        self._lock = threading.Lock()
        self._open: set[Future] = set()
        self._is_abandoned = False

    def track(self, future: Future[T]) -> Future[T]:
        """Cancel `future` together with the call, until it is done."""
        with self._lock:
            self._open.add(future)
            is_abandoned = self._is_abandoned
        future.add_done_callback(self._forget)
        if is_abandoned:
            future.cancel()
        return future

    def abandon(self) -> None:
        """Cancel every open future, now and from now on."""
        with self._lock:
            self._is_abandoned = True
            open_futures = list(self._open)
        for future in open_futures:
            future.cancel()

    def check(self) -> None:
        """Raise CancelledError when the caller has left."""
        if self._is_abandoned:
            raise CancelledError

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._open.discard(future)


class Calls:
    """Counts the calls in flight; the one place where calls are refused for what they are, a call more.

    Args:
        max_calls: most at the same time.
    """

    def __init__(self, max_calls: int):
        self._max_calls = max_calls
        self._lock = threading.Lock()
        self._calls: set[Call] = set()

    @contextmanager
    def enter(self, context: grpc.ServicerContext) -> Iterator[Call]:
        """Around all that is done for an RPC; its call is abandoned when the RPC ends, early or not.

        Raises:
            TooManyCallsError: `max_calls` are in flight.
        """
        call = Call(time.perf_counter() + context.time_remaining())
        with self._lock:
            if len(self._calls) >= self._max_calls:
                text = f"{self._max_calls} calls are in flight, the most this server takes; wait and send it again"
                raise TooManyCallsError(text, _RETRY_AFTER_S)
            self._calls.add(call)
        try:
            if not context.add_callback(call.abandon):
                call.abandon()
            yield call
        finally:
            with self._lock:
                self._calls.discard(call)
