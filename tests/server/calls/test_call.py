import asyncio
import math
import time
from collections.abc import Iterator

import pytest

from server.calls.call import Call, Calls
from server.calls.concurrency_limit import ConcurrencyLimit
from server.errors import StoppingError, TooManyCallsError
from server.event_loop import EventLoop


class Context:
    """The part of grpc's context that a call uses."""

    def __init__(self, left_s: float | None = 5.0):
        self._left_s = left_s

    def time_remaining(self) -> float | None:
        return self._left_s


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


def test_a_future_that_is_done_is_not_waited_for_any_more(event_loop: EventLoop):
    async def wait() -> None:
        call = Call(0)
        done = call.create_future()
        done.set_result(None)
        await asyncio.sleep(0)  # its callbacks run in the next turn of the loop
        assert not call._waiting  # a stream awaits futures for as long as it lasts
        call.abort()
        assert done.exception() is None

    event_loop.run(wait())


def test_an_aborted_call_waits_no_more(event_loop: EventLoop):
    async def abort() -> list[BaseException | None]:
        call = Call(0)
        waiting = call.create_future()
        call.abort()
        return list(await asyncio.gather(waiting, call.create_future(), return_exceptions=True))

    for error in event_loop.run(abort()):
        assert isinstance(error, StoppingError)
        assert "had to stop before the answer was ready" in str(error)


def test_a_call_over_the_limit_is_rejected_until_another_ends(event_loop: EventLoop):
    async def begin() -> None:
        calls = Calls(1)
        call = await calls.begin(Context())
        expected = (
            r"at its limit of calls in flight \(1, or those it can answer in time\); send the request again later"
        )
        with pytest.raises(TooManyCallsError, match=expected):
            await calls.begin(Context())
        calls.end(call)
        await calls.begin(Context())

    event_loop.run(begin())


@pytest.mark.parametrize("left_s", [None, 5.0])
def test_a_call_knows_its_deadline(event_loop: EventLoop, left_s: float | None):
    async def deadline_s() -> float:
        return (await Calls(1).begin(Context(left_s))).deadline_s

    expected = math.inf if left_s is None else time.perf_counter() + left_s
    assert event_loop.run(deadline_s()) == pytest.approx(expected, abs=1)


def test_a_closed_server_waits_for_its_calls_and_accepts_no_more(event_loop: EventLoop):
    async def close() -> list[bool]:
        calls = Calls(2)
        call = await calls.begin(Context())
        in_time = [await calls.close(timeout_s=0.01)]
        with pytest.raises(StoppingError, match="the server is stopping; send the request to another one"):
            await calls.begin(Context())
        asyncio.get_running_loop().call_later(0.01, calls.end, call)
        return [*in_time, await calls.close(timeout_s=10), await calls.close(timeout_s=0)]

    assert event_loop.run(close()) == [False, True, True]


def test_rejections_are_held_while_the_connections_close(event_loop: EventLoop):
    async def hold() -> None:
        calls = Calls(1)
        await calls.close(0)
        await calls.hold_rejections()
        rejected = asyncio.ensure_future(calls.begin(Context()))
        await asyncio.sleep(0.01)
        assert not rejected.done()
        calls.release_rejections()
        with pytest.raises(StoppingError):
            await rejected

    event_loop.run(hold())


def test_streams_take_no_place_but_for_messages_being_answered(event_loop: EventLoop):
    """They do not count in the concurrency limit, either: they are long-lived, which says nothing about time."""
    limit = ConcurrencyLimit()

    async def begin() -> list[int]:
        calls = Calls(100, limit)
        streams = [await calls.begin(Context(), is_stream=True) for _ in range(50)]
        call = await calls.begin(Context())
        counts = [limit._num_in_flight, calls.num_in_flight]
        with calls.message_place():
            counts.append(calls.num_in_flight)
        for one in (*streams, call):
            calls.end(one)
        return [*counts, limit._num_in_flight, calls.num_in_flight]

    assert event_loop.run(begin()) == [1, 1, 2, 0, 0]


def test_the_concurrency_limit_rejects_calls_below_the_most_calls(event_loop: EventLoop):
    time_s = 0.0
    limit = ConcurrencyLimit(lambda: time_s)

    async def begin() -> None:
        nonlocal time_s
        calls = Calls(100, limit)
        flood = [await calls.begin(Context()) for _ in range(50)]
        for call in flood[:10]:  # 10 a second, 5 s allowed
            time_s += 0.1
            call.is_answered = True
            calls.end(call)
        while not calls.is_full:
            await calls.begin(Context())
        with pytest.raises(TooManyCallsError, match=r"calls in flight \(100, or those it can answer in time\)"):
            await calls.begin(Context())
        assert calls.num_in_flight < 50

    event_loop.run(begin())
