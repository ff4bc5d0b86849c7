"""Calls in flight: waiting, aborting, counting and rejecting. Runs on the event loop, except where noted."""

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from server.calls.concurrency_limit import ConcurrencyLimit
from server.errors import StoppingError, TooManyCallsError

_RETRY_AFTER_S = 1.0
_QUIET_S = 0.05
_MAX_HOLD_S = 0.5


class Call:
    """One call and the futures that it awaits.

    Args:
        deadline_s: the caller's deadline, on the clock of `time.perf_counter`.
        is_stream: True for a call with many answers.
    Attributes:
        is_answered: True once there is an answer for the caller.
    """

    def __init__(self, deadline_s: float, is_stream: bool = False):
        self.deadline_s = deadline_s
        self.is_stream = is_stream
        self.is_answered = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_aborted = False

    def create_future(self) -> "asyncio.Future[None]":
        """Return a future, which raises StoppingError when the call is aborted."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        if self._is_aborted:
            _abort(future)
        return future

    def abort(self) -> None:
        """Fail all futures of the call, present and later ones, because the server is stopping."""
        self._is_aborted = True
        for future in list(self._waiting):
            _abort(future)


class Calls:
    """Counts the calls being answered and rejects those over the limit.

    A unary call takes a place from its message to its answer, a stream one for each of its messages that is being
    answered; a silent stream takes none.

    Args:
        max_calls: most places.
        concurrency_limit: a further limit by the time that calls take; streams are long-lived and do not count there.
    """

    def __init__(self, max_calls: int, concurrency_limit: ConcurrencyLimit | None = None):
        self._max_calls = max_calls
        self._concurrency_limit = concurrency_limit or ConcurrencyLimit()
        self._calls: set[Call] = set()
        self._num_places = 0
        self._is_closed = False
        self._num_rejected = 0
        self._none_left = asyncio.Event()
        self._may_reject = asyncio.Event()
        self._may_reject.set()

    async def begin(self, context: grpc.aio.ServicerContext, is_stream: bool = False) -> Call:
        """Admit an RPC; the returned call has to be given to `end`.

        Raises:
            TooManyCallsError: `max_calls` are in flight, or more than can be answered in time.
            StoppingError: after `close`.
        """
        if self._is_closed:
            self._num_rejected += 1
            await self._may_reject.wait()
            raise StoppingError("the server is stopping; send the request to another one")
        if self.is_full:
            raise self.too_many_calls_error()
        left_s = context.time_remaining()
        call = Call(math.inf if left_s is None else time.perf_counter() + left_s, is_stream)
        self._calls.add(call)
        if not is_stream:
            self._num_places += 1
            self._concurrency_limit.begin(left_s)
        return call

    @contextmanager
    def message_place(self) -> Iterator[None]:
        """Take a place for one message of a stream during a `with`.

        Raises:
            TooManyCallsError: all places are taken.
        """
        if self._num_places >= self._max_calls:
            raise self.too_many_calls_error()
        self._num_places += 1
        try:
            yield
        finally:
            self._num_places -= 1

    def end(self, call: Call) -> None:
        """Stop counting a call that has ended."""
        self._calls.discard(call)
        if not call.is_stream:
            self._num_places -= 1
            self._concurrency_limit.end(call.is_answered)
        if not self._calls:
            self._none_left.set()

    @property
    def num_in_flight(self) -> int:
        """Number of calls, and of messages of streams, being answered; may be read from any thread."""
        return self._num_places

    @property
    def is_full(self) -> bool:
        """True when a new call would exceed the limit; False after `close`, which rejects calls for another reason."""
        return (self._num_places >= self._max_calls or self._concurrency_limit.is_full) and not self._is_closed

    def too_many_calls_error(self) -> TooManyCallsError:
        """Return the error for a call over the limit."""
        text = (
            f"the server is at its limit of calls in flight ({self._max_calls}, or those it can answer in time); send"
            " the request again later"
        )
        return TooManyCallsError(text, _RETRY_AFTER_S)

    async def close(self, timeout_s: float) -> bool:
        """Reject every new call and wait for those in flight to end; return False when they did not end in time."""
        self._is_closed = True
        if not self._calls:
            return True
        self._none_left.clear()
        try:
            await asyncio.wait_for(self._none_left.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def abort(self) -> None:
        """End the calls in flight with StoppingError."""
        for call in list(self._calls):
            call.abort()

    async def hold_rejections(self) -> None:
        """Hold back rejections until `release_rejections`, so that callers that retry in a loop wait.

        grpc answers CANCELLED to a call that arrives at the moment when it closes the connections, so this
        is called shortly before; it returns once no new calls arrive.
        """
        self._may_reject.clear()
        end_s = time.perf_counter() + _MAX_HOLD_S
        num_refused = -1
        while self._num_rejected != num_refused and time.perf_counter() < end_s:
            num_refused = self._num_rejected
            await asyncio.sleep(_QUIET_S)

    def release_rejections(self) -> None:
        """Send the rejections that were held back."""
        self._may_reject.set()


def _abort(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(_aborted())


def _aborted() -> StoppingError:
    return StoppingError("the server had to stop before the answer was ready; send the request to another one")
