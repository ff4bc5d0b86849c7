"""The policy of retries after a failed request."""

import random
import time
from dataclasses import dataclass

import grpc

from aisle_client.errors import CallError


@dataclass(frozen=True)
class RetryPolicy:
    """Retries when the server is UNAVAILABLE, and when it is overloaded and sends a retry delay.

    A retry is safe: classification and search change nothing on the server, and an index that is changed twice in the
    same way is as after the first time. Delays grow by exponential backoff from
    `first_delay_s`, each reduced by a random part of up to a half (jitter), so that callers do not retry all at once;
    none exceeds the request's deadline.
    """

    max_retries: int = 6
    """Most retries of a request; 0 never retries."""
    first_delay_s: float = 0.1
    """Delay before the first retry, seconds."""
    max_delay_s: float = 5.0
    """Longest delay, seconds; a longer one that the server asks for is respected."""


DEFAULT_RETRY = RetryPolicy()
NO_RETRY = RetryPolicy(max_retries=0)


class Attempts:
    """The attempts at one request.

    Args:
        timeout_s: timeout of all attempts together, seconds.
    """

    def __init__(self, policy: RetryPolicy, timeout_s: float):
        self._policy = policy
        self._timeout_s = timeout_s
        self.restart()

    def restart(self) -> None:
        """Start over, with the full timeout and all retries."""
        self._num_failed = 0
        self._end_s = time.monotonic() + self._timeout_s

    def remaining_s(self) -> float:
        """Return the time left until the deadline, seconds."""
        return max(self._end_s - time.monotonic(), 0.0)

    def delay_s(self, error: CallError) -> float:
        """Return the delay before the next attempt, seconds.

        Raises:
            CallError: `error` itself, when it is final or there is no time or attempt left.
        """
        is_overloaded = error.code == grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_s is not None
        is_final = error.code != grpc.StatusCode.UNAVAILABLE and not is_overloaded
        if is_final or self._num_failed >= self._policy.max_retries:
            raise error
        delay_s = min(self._policy.first_delay_s * 2**self._num_failed, self._policy.max_delay_s)
        delay_s *= random.uniform(0.5, 1)
        if error.retry_after_s is not None:
            delay_s += error.retry_after_s
        if delay_s >= self.remaining_s():
            raise error
        self._num_failed += 1
        return delay_s
