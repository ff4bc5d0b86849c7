"""When a request that failed is sent again."""

import random
import time
from dataclasses import dataclass

import grpc

from client.errors import CallError


@dataclass(frozen=True)
class RetryPolicy:
    """Requests are sent again when the server is UNAVAILABLE, and when it is overloaded and says how long to wait.

    Asking again is safe, for an answer changes nothing on the server. Waits double from `first_delay_s` on, each cut
    by a random part of up to a half so that callers do not come back all at once; none outlasts the request's deadline.
    """

    max_retries: int = 6
    """Times that a request is sent again; 0 never does."""
    first_delay_s: float = 0.1
    """Wait before the first time, seconds."""
    max_delay_s: float = 5.0
    """Longest wait, seconds; a server that asks for more is given more."""


DEFAULT_RETRY = RetryPolicy()
NO_RETRY = RetryPolicy(max_retries=0)


class Attempts:
    """The attempts at one request.

    Args:
        timeout_s: for all of them together, seconds.
    """

    def __init__(self, policy: RetryPolicy, timeout_s: float):
        self._policy = policy
        self._timeout_s = timeout_s
        self.restart()

    def restart(self) -> None:
        """Begin anew, with the whole time and all retries."""
        self._num_failed = 0
        self._end_s = time.monotonic() + self._timeout_s

    def remaining_s(self) -> float:
        """Time left until the deadline, seconds."""
        return max(self._end_s - time.monotonic(), 0.0)

    def delay_s(self, error: CallError) -> float:
        """How long to wait before the next attempt, seconds.

        Raises:
            CallError: `error` itself, when it is final or there is no time or attempt left.
        """
        is_refused = error.code == grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_s is not None
        is_final = error.code != grpc.StatusCode.UNAVAILABLE and not is_refused
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
