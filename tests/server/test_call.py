from concurrent.futures import CancelledError, Future

import pytest

from server.call import Call


def test_leaving_cancels_what_is_open_and_what_comes_later():
    call = Call()
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
    call = Call()
    for _ in range(1000):
        call.track(Future()).set_result(None)
    assert not call._open
