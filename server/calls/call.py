"""The calls in flight. All of it runs on the event loop, but for what says otherwise."""

import asyncio
import math
import time
from functools import partial

import grpc

from server.calls.call_pace import CallPace
from server.errors import StoppingError, TooManyCallsError
from server.event_loop import EventLoop

_RETRY_AFTER_S = 1.0
_QUIET_S = 0.05
_MAX_HOLD_S = 0.5


class Call:
    """One call, and what it waits for.

    Args:
        deadline_s: when the caller will have left at the latest, on the clock of `time.perf_counter`.
        event_loop: where it is answered.
        is_stream: whether it has many answers.
    Attributes:
        is_answered: whether there is an answer for the caller.
    """

    def __init__(self, deadline_s: float, event_loop: EventLoop, is_stream: bool = False):
        self.deadline_s = deadline_s
        self.is_stream = is_stream
        self.is_answered = False
        self._event_loop = event_loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_cut = False

    def expect(self) -> "asyncio.Future[None]":
        """A future for `finish`; when the call is cut it raises StoppingError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        if self._is_cut:
            _finish(future, _cut())
        return future

    def finish(self, future: "asyncio.Future[None]", error: Exception | None = None) -> None:
        """End the wait for a future, from any thread; one that has ended stays as it is."""
        self._event_loop.call(partial(_finish, future, error))

    def cut(self) -> None:
        """End every wait, now and from now on, because the server cannot wait longer."""
        self._is_cut = True
        for future in list(self._waiting):
            _finish(future, _cut())


class Calls:
    """Counts the calls in flight and refuses those that are too many.

    Args:
        max_calls: most at the same time.
        pace: what else limits them while many are in flight; streams last, and do not count there.
    """

    def __init__(self, max_calls: int, event_loop: EventLoop, pace: CallPace | None = None):
        self._max_calls = max_calls
        self._pace = pace or CallPace()
        self._event_loop = event_loop
        self._calls: set[Call] = set()
        self._is_closed = False
        self._num_refused = 0
        self._none_left = asyncio.Event()
        self._may_refuse = asyncio.Event()
        self._may_refuse.set()

    async def enter(self, context: grpc.aio.ServicerContext, is_stream: bool = False) -> Call:
        """A call for an RPC, to be given to `leave` when that ends.

        Raises:
            TooManyCallsError: `max_calls` are in flight, or more than are answered in time.
            StoppingError: after `close`.
        """
        if self._is_closed:
            self._num_refused += 1
            await self._may_refuse.wait()
            raise StoppingError("the server is stopping; send the request to another one")
        if self.is_full:
            raise self.too_many()
        left_s = context.time_remaining()
        call = Call(math.inf if left_s is None else time.perf_counter() + left_s, self._event_loop, is_stream)
        self._calls.add(call)
        if not is_stream:
            self._pace.begin(left_s)
        return call

    def leave(self, call: Call) -> None:
        """Count the call no more."""
        self._calls.discard(call)
        if not call.is_stream:
            self._pace.end(call.is_answered)
        if not self._calls:
            self._none_left.set()

    @property
    def num_in_flight(self) -> int:
        """How many calls are being answered; for any thread."""
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """Whether a call that came now would be one too many; after `close` other words are told."""
        return (len(self._calls) >= self._max_calls or self._pace.is_full) and not self._is_closed

    def too_many(self) -> TooManyCallsError:
        """What a refused caller is told."""
        text = (
            f"as many calls are in flight as this server takes ({self._max_calls}) or answers in time; wait and send it"
            " again"
        )
        return TooManyCallsError(text, _RETRY_AFTER_S)

    async def close(self, timeout_s: float) -> bool:
        """Refuse every new call and wait for those in flight to end; False when the time was too short."""
        self._is_closed = True
        if not self._calls:
            return True
        self._none_left.clear()
        try:
            await asyncio.wait_for(self._none_left.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def cut(self) -> None:
        """End the calls in flight, with StoppingError."""
        for call in list(self._calls):
            call.cut()

    async def hold_refusals(self) -> None:
        """Keep callers who ask again and again waiting, until `let_refusals_go`.

        grpc answers CANCELLED to a call that arrives in the very moment when it closes the connections. So
        this is for a little before; it returns when nobody asks.
        """
        self._may_refuse.clear()
        end_s = time.perf_counter() + _MAX_HOLD_S
        num_refused = -1
        while self._num_refused != num_refused and time.perf_counter() < end_s:
            num_refused = self._num_refused
            await asyncio.sleep(_QUIET_S)

    def let_refusals_go(self) -> None:
        """Answer those who were kept waiting."""
        self._may_refuse.set()


def _finish(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _cut() -> StoppingError:
    return StoppingError("the server had to stop before the answer was ready; send the request to another one")
