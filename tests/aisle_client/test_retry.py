import time

import grpc
import pytest

from aisle_client.errors import CallError
from aisle_client.retry import NO_RETRY, Attempts, RetryPolicy


def error(code: grpc.StatusCode, retry_after_s: float | None = None) -> CallError:
    return CallError(code.name, code, {}, retry_after_s)


UNAVAILABLE = error(grpc.StatusCode.UNAVAILABLE)


def test_delays_double_up_to_the_longest_and_end_with_the_last_attempt():
    attempts = Attempts(RetryPolicy(max_retries=5, first_delay_s=1, max_delay_s=5), timeout_s=1000)
    for longest_s in (1, 2, 4, 5, 5):
        assert longest_s / 2 <= attempts.delay_s(UNAVAILABLE) <= longest_s
    with pytest.raises(CallError) as caught:
        attempts.delay_s(UNAVAILABLE)
    assert caught.value is UNAVAILABLE
    attempts.restart()
    assert attempts.delay_s(UNAVAILABLE) <= 1


def test_delays_have_jitter():
    delays_s = {Attempts(RetryPolicy(), 1000).delay_s(UNAVAILABLE) for _ in range(5)}
    assert len(delays_s) == 5


def test_the_servers_retry_delay_is_respected():
    attempts = Attempts(RetryPolicy(first_delay_s=0.1), timeout_s=1000)
    assert 7.05 <= attempts.delay_s(error(grpc.StatusCode.RESOURCE_EXHAUSTED, 7)) <= 7.1


@pytest.mark.parametrize(
    "final",
    [
        error(grpc.StatusCode.RESOURCE_EXHAUSTED),  # a message that is too large fails again
        error(grpc.StatusCode.INVALID_ARGUMENT),
        error(grpc.StatusCode.INTERNAL),
        error(grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=lambda final: final.code.name,
)
def test_errors_that_would_occur_again_are_final(final: CallError):
    with pytest.raises(CallError) as caught:
        Attempts(RetryPolicy(), 1000).delay_s(final)
    assert caught.value is final


def test_no_delay_exceeds_the_deadline():
    attempts = Attempts(RetryPolicy(), timeout_s=5)
    with pytest.raises(CallError, match="RESOURCE_EXHAUSTED"):
        attempts.delay_s(error(grpc.StatusCode.RESOURCE_EXHAUSTED, 5))
    assert 0 < attempts.remaining_s() <= 5


def test_without_retries_the_first_error_is_final():
    with pytest.raises(CallError, match="UNAVAILABLE"):
        Attempts(NO_RETRY, 1000).delay_s(UNAVAILABLE)


def test_time_runs_out():
    attempts = Attempts(RetryPolicy(), timeout_s=0.001)
    time.sleep(0.01)
    assert attempts.remaining_s() == 0
