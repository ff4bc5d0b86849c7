from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import pytest

from server.call import Call, Calls
from server.errors import TooManyCallsError


class Context:
    """What a call asks of grpc's context."""

    def __init__(self, is_ended: bool = False):
        self.callbacks: list[Callable[[], None]] = []
        self._is_ended = is_ended

    def time_remaining(self) -> float:
        return 5.0

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.callbacks.append(callback)
        return not self._is_ended


def test_leaving_cancels_what_is_open_and_what_comes_later():
    call = Call(deadline_s=0)
    done: Future[int] = call.track(Future())
    done.set_result(1)
    waiting: Future[int] = call.track(Future())
    call.check()
    call.abandon()
    late: Future[int] = call.track(Future())
    assert (done.cancelled(), waiting.cancelled(), late.cancelled()) == (False, True, True)
    with pytest.raises(CancelledError):
        call.check()


def test_a_call_forgets_what_is_done():
    """A stream tracks futures for as long as it lasts."""
    call = Call(deadline_s=0)
    for _ in range(1000):
        call.track(Future()).set_result(None)
    assert not call._open


def test_a_call_over_the_limit_is_refused_until_another_ends():
    calls = Calls(max_calls=1)
    expected = "1 calls are in flight, the most this server takes; wait and send it again"
    with calls.enter(Context()), pytest.raises(TooManyCallsError, match=expected), calls.enter(Context()):
        pass
    with calls.enter(Context()) as call:
        call.check()


def test_a_call_is_abandoned_when_its_rpc_ends_even_before_it_began():
    calls = Calls(max_calls=1)
    context = Context()
    with calls.enter(context) as call:
        call.check()
        [callback] = context.callbacks
        callback()
        with pytest.raises(CancelledError):
            call.check()
    with calls.enter(Context(is_ended=True)) as call, pytest.raises(CancelledError):
        call.check()
