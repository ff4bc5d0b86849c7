import asyncio
import math
import time
from collections.abc import Iterator

import pytest

from server.calls.call import Call, Calls
from server.calls.call_pace import CallPace
from server.errors import StoppingError, TooManyCallsError
from server.event_loop import EventLoop


class Context:
    """What a call asks of grpc's context."""

    def __init__(self, left_s: float | None = 5.0):
        self._left_s = left_s

    def time_remaining(self) -> float | None:
        return self._left_s


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


def test_a_wait_ends_from_any_thread_and_only_once(event_loop: EventLoop):
    async def wait() -> list[str]:
        call = Call(0, event_loop)
        done, failed = call.expect(), call.expect()
        call.finish(done)
        call.finish(done, ValueError("too late"))
        await asyncio.to_thread(call.finish, failed, ValueError("broken"))
        told = await asyncio.gather(done, failed, return_exceptions=True)
        assert not call._waiting  # a stream waits again and again for as long as it lasts
        return [str(one) for one in told]

    assert event_loop.run(wait()) == ["None", "broken"]


def test_a_call_that_is_cut_waits_no_more(event_loop: EventLoop):
    async def cut() -> list[BaseException | None]:
        call = Call(0, event_loop)
        waiting = call.expect()
        call.cut()
        return list(await asyncio.gather(waiting, call.expect(), return_exceptions=True))

    for error in event_loop.run(cut()):
        assert isinstance(error, StoppingError)
        assert "had to stop before the answer was ready" in str(error)


def test_a_call_over_the_limit_is_refused_until_another_ends(event_loop: EventLoop):
    async def enter() -> None:
        calls = Calls(1, event_loop)
        call = await calls.enter(Context())
        expected = r"as this server takes \(1\) or answers in time; wait and send it again"
        with pytest.raises(TooManyCallsError, match=expected):
            await calls.enter(Context())
        calls.leave(call)
        await calls.enter(Context())

    event_loop.run(enter())


@pytest.mark.parametrize("left_s", [None, 5.0])
def test_a_call_knows_its_deadline(event_loop: EventLoop, left_s: float | None):
    async def deadline_s() -> float:
        return (await Calls(1, event_loop).enter(Context(left_s))).deadline_s

    expected = math.inf if left_s is None else time.perf_counter() + left_s
    assert event_loop.run(deadline_s()) == pytest.approx(expected, abs=1)


def test_a_closed_server_waits_for_its_calls_and_takes_no_more(event_loop: EventLoop):
    async def close() -> list[bool]:
        calls = Calls(2, event_loop)
        call = await calls.enter(Context())
        in_time = [await calls.close(timeout_s=0.01)]
        with pytest.raises(StoppingError, match="the server is stopping; send the request to another one"):
            await calls.enter(Context())
        asyncio.get_running_loop().call_later(0.01, calls.leave, call)
        return [*in_time, await calls.close(timeout_s=10), await calls.close(timeout_s=0)]

    assert event_loop.run(close()) == [False, True, True]


def test_refusals_are_held_while_the_connections_close(event_loop: EventLoop):
    async def hold() -> None:
        calls = Calls(1, event_loop)
        await calls.close(0)
        await calls.hold_refusals()
        refused = asyncio.ensure_future(calls.enter(Context()))
        await asyncio.sleep(0.01)
        assert not refused.done()
        calls.let_refusals_go()
        with pytest.raises(StoppingError):
            await refused

    event_loop.run(hold())


def test_streams_do_not_count_where_the_pace_does(event_loop: EventLoop):
    """They last: of many in flight none would ever be answered."""
    pace = CallPace()

    async def enter() -> list[int]:
        calls = Calls(100, event_loop, pace)
        streams = [await calls.enter(Context(), is_stream=True) for _ in range(50)]
        call = await calls.enter(Context())
        counts = [pace._num_in_flight, calls.num_in_flight]
        for one in (*streams, call):
            calls.leave(one)
        return [*counts, pace._num_in_flight]

    assert event_loop.run(enter()) == [1, 51, 0]


def test_more_than_the_pace_allows_are_refused_before_the_most(event_loop: EventLoop):
    time_s = 0.0
    pace = CallPace(lambda: time_s)

    async def enter() -> None:
        nonlocal time_s
        calls = Calls(100, event_loop, pace)
        flood = [await calls.enter(Context()) for _ in range(50)]
        for call in flood[:10]:  # 10 a second, 5 s allowed
            time_s += 0.1
            call.is_answered = True
            calls.leave(call)
        while not calls.is_full:
            await calls.enter(Context())
        with pytest.raises(TooManyCallsError, match=r"takes \(100\) or answers in time"):
            await calls.enter(Context())
        assert calls.num_in_flight < 50

    event_loop.run(enter())
