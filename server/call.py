"""The calls in flight, and what each of them waits for."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import TypeVar

import grpc

from server.errors import StoppingError, TooManyCallsError

T = TypeVar("T")

_RETRY_AFTER_S = 1.0
_QUIET_S = 0.05
_MAX_HOLD_S = 0.5


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
        self._is_cut = False

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

    def cut(self) -> None:
        """Abandon the call though its caller waits for it, because the server cannot wait longer."""
        self._is_cut = True
        self.abandon()

    def reason(self, error: Exception) -> Exception:
        """What ended the call, where its handler met `error`: a call that was cut meets CancelledError."""
        if self._is_cut and isinstance(error, CancelledError):
            return StoppingError("the server had to stop before the answer was ready; send the request to another one")
        return error

    def check(self) -> None:
        """Raise CancelledError when the caller has left."""
        if self._is_abandoned:
            raise CancelledError

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._open.discard(future)


class Calls:
    """Counts the calls in flight and refuses those that are too many or too late.

    Args:
        max_calls: most at the same time.
    """

    def __init__(self, max_calls: int):
        self._max_calls = max_calls
        self._changed = threading.Condition()
        self._calls: set[Call] = set()
        self._is_closed = False
        self._num_refused = 0
        self._may_refuse = threading.Event()
        self._may_refuse.set()

    @contextmanager
    def enter(self, context: grpc.ServicerContext) -> Iterator[Call]:
        """Around all that is done for an RPC; its call is abandoned when the RPC ends, early or not.

        Raises:
            TooManyCallsError: `max_calls` are in flight.
            StoppingError: after `close`.
        """
        call = Call(time.perf_counter() + context.time_remaining())
        with self._changed:
            is_closed = self._is_closed
            is_full = self.is_full
            if is_closed:
                self._num_refused += 1
            elif not is_full:
                self._calls.add(call)
        if is_closed:
            self._may_refuse.wait(_MAX_HOLD_S)
            raise StoppingError("the server is stopping; send the request to another one")
        if is_full:
            raise self.too_many()
        try:
            if not context.add_callback(call.abandon):
                call.abandon()
            yield call
        except CancelledError as error:
            raise call.reason(error) from None
        finally:
            with self._changed:
                self._calls.discard(call)
                self._changed.notify_all()

    @property
    def num_in_flight(self) -> int:
        """How many calls are being answered."""
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """Whether a call that came now would be one too many; after `close` other words are told."""
        return len(self._calls) >= self._max_calls and not self._is_closed

    def too_many(self) -> TooManyCallsError:
        """What a refused caller is told."""
        text = f"{self._max_calls} calls are in flight, the most this server takes; wait and send it again"
        return TooManyCallsError(text, _RETRY_AFTER_S)

    def close(self) -> None:
        """Refuse every new call."""
        with self._changed:
            self._is_closed = True

    def wait_until_none(self, timeout_s: float) -> bool:
        """Wait for the calls in flight to end; False when the time was too short."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._calls, timeout_s)

    def cut(self) -> None:
        """End the calls in flight, with StoppingError."""
        with self._changed:
            calls = list(self._calls)
        for call in calls:
            call.cut()

    @contextmanager
    def hold_refusals(self) -> Iterator[None]:
        """Around the moment when grpc closes the connections.

        grpc answers CANCELLED to a call that arrives in that very moment. So callers who ask again
        and again are kept waiting from a little before until it is over.
        """
        self._may_refuse.clear()
        end_s = time.perf_counter() + _MAX_HOLD_S
        num_refused = -1
        while self._num_refused != num_refused and time.perf_counter() < end_s:
            num_refused = self._num_refused
            time.sleep(_QUIET_S)
        try:
            yield
        finally:
            self._may_refuse.set()
