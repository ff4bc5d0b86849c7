"""Open calls that nothing is computed for: silent streams, watches, and requests whose message is still arriving."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import grpc
from grpc_status import rpc_status

from model.machine.memory import allocated_bytes
from server.errors import (
    IdleError,
    MemoryFullError,
    OverloadError,
    RequestError,
    StoppingError,
    TooManyArrivingError,
    TooManyStreamsError,
    TooManyWatchesError,
    request_status,
)
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.settings import ServerSettings

_RETRY_AFTER_S = 1.0
_MAX_SWEEP_S = 1.0
_GUARD_S = 0.02  # some 20 MB arrive meanwhile on a quick network
_COPIES = 2  # grpc joins the pieces of a message once the last one is there
_NO_MEMORY = "the messages that are arriving take more memory than there is; wait and send the request again"
#: grpc reports the end of a call right after the end of its messages, where it or the caller has ended the call.
_END_OF_CALL_S = 0.01


class OpenKind(StrEnum):
    """The kinds of open calls, each with a bound of its own."""

    STREAM = "stream"
    WATCH = "watch"
    ARRIVING = "arriving"


class OpenCalls:
    """Bounds the open calls that take no place of `Calls`, so that these are not held by callers that send nothing.

    Streams and watches over their bound are refused. Of the requests whose message is arriving the one that has waited
    longest gives way: a new one is always let in, so that health checks are answered whoever else sends half messages.
    Runs on the event loop.
    """

    def __init__(self, settings: ServerSettings, memory: MemoryBudget):
        self._memory = memory
        self._least_bytes = allocated_bytes()
        self._max_streams = settings.max_open_streams
        self._max_watches = settings.max_watches
        self._max_arriving = settings.max_arriving_requests
        self._max_message_bytes = settings.max_message_bytes
        self._message_timeout_s = settings.message_timeout_s
        self._held: Counter[OpenKind] = Counter()
        self._arriving: dict[Any, float] = {}  # begin of each by its context, the oldest first
        self._given_up: dict[Any, Exception] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self) -> None:
        """Begin to give up messages that take longer than `message_timeout_s`, or more memory than there is."""
        self._least_bytes = allocated_bytes()
        self._guard_memory()
        if self._message_timeout_s:
            self._sweep()

    @property
    def counts(self) -> dict[OpenKind, int]:
        """The number of open calls of each kind; may be read from any thread."""
        return {
            OpenKind.STREAM: self._held[OpenKind.STREAM],
            OpenKind.WATCH: self._held[OpenKind.WATCH],
            OpenKind.ARRIVING: len(self._arriving),
        }

    @contextmanager
    def hold(self, kind: OpenKind) -> Iterator[None]:
        """Count a stream or a watch during a `with`.

        Raises:
            TooManyStreamsError, TooManyWatchesError: its bound is reached.
        """
        if kind is OpenKind.STREAM and self._held[kind] >= self._max_streams:
            raise TooManyStreamsError(_too_many("streams", self._max_streams), _RETRY_AFTER_S)
        if kind is OpenKind.WATCH and self._held[kind] >= self._max_watches:
            raise TooManyWatchesError(_too_many("watches", self._max_watches), _RETRY_AFTER_S)
        self._held[kind] += 1
        try:
            yield
        finally:
            self._held[kind] -= 1

    async def read(self, context: Any) -> Any:
        """Return the message of a unary request.

        Raises:
            RequestError: the caller ended the request without one.
            IdleError: it did not arrive in time.
            TooManyArrivingError: others came while it arrived, and this one has waited longest.
            StoppingError: after `close`.
        """
        if len(self._arriving) >= self._max_arriving:
            self._give_up(next(iter(self._arriving)), _gives_way(self._max_arriving))
        self._arriving[context] = asyncio.get_running_loop().time()
        if self._is_closed:
            self._give_up(context, _stopping())
        try:
            message = await context.read()
        except grpc.aio.AbortError:  # by `_give_up`
            message = grpc.aio.EOF
        finally:
            self._arriving.pop(context, None)
            error = self._given_up.pop(context, None)
        if error is not None:
            raise error
        if message is grpc.aio.EOF:
            await asyncio.sleep(_END_OF_CALL_S)
            raise RequestError([("request", "expected one message, found none")])
        return message

    def close(self) -> None:
        """Give up the messages that are arriving, present and later ones; they would delay the stop of the server."""
        self._is_closed = True
        for context in list(self._arriving):
            self._give_up(context, _stopping())

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest_s = loop.time() - self._message_timeout_s
        for context, begun_s in list(self._arriving.items()):
            if begun_s > oldest_s:
                break
            text = f"the message did not arrive within {self._message_timeout_s:g} s; send the request again"
            self._give_up(context, IdleError(text))
        loop.call_later(min(self._message_timeout_s / 2, _MAX_SWEEP_S), self._sweep)

    def _guard_memory(self) -> None:
        """Give up messages, the longest arriving first, while this process has more memory than messages may take.

        What has arrived of a message is in the buffers of grpc, which tells neither how much nor how much is to come.
        """
        if self._arriving:
            taken = self._memory.reserved_bytes[MemoryUse.PICTURES]
            most_bytes = (self._memory.max_bytes - taken) / _COPIES
            excess_bytes = allocated_bytes() - self._least_bytes - most_bytes
            count = math.ceil(excess_bytes / self._max_message_bytes)
            for context in list(self._arriving)[: max(0, count)]:
                self._give_up(context, MemoryFullError(_NO_MEMORY, _RETRY_AFTER_S))
        asyncio.get_running_loop().call_later(_GUARD_S, self._guard_memory)

    def _give_up(self, context: Any, error: Exception) -> None:
        """End a call whose message is arriving.

        It gets its status here, which ends the reading. To cancel the task that reads would be shorter, but a message
        that has arrived and was not taken yet would stay in memory for ever: grpc frees it when it is taken.
        """
        del self._arriving[context]
        self._given_up[context] = error
        ending = asyncio.create_task(_end(context, error))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


async def _end(context: Any, error: Exception) -> None:
    with contextlib.suppress(grpc.aio.AbortError, grpc.aio.UsageError, asyncio.CancelledError):
        await context.abort_with_status(rpc_status.to_status(request_status(error)))


def _too_many(what: str, bound: int) -> str:
    return f"the server is at its limit of open {what} ({bound}); close those not needed, or open this one later"


def _gives_way(bound: int) -> OverloadError:
    text = (
        f"the message was still arriving when {bound} other requests were, too, which is the server's limit; send the"
        " request again later"
    )
    return TooManyArrivingError(text, _RETRY_AFTER_S)


def _stopping() -> StoppingError:
    return StoppingError("the server stopped before the message had arrived; send the request to another one")
