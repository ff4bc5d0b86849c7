"""The calls in flight, and what each of them waits for."""

import threading
from concurrent.futures import CancelledError, Future
from typing import TypeVar

import grpc

T = TypeVar("T")


class Call:
    """One call's open futures; when the caller leaves, they are cancelled and their work is not done."""

    def __init__(self) -> None:
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


def call_of(context: grpc.ServicerContext) -> Call:
    """The call of an RPC; it is abandoned when the RPC ends, early or not."""
    call = Call()
    if not context.add_callback(call.abandon):
        call.abandon()
    return call
