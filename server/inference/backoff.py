"""Growing delays between attempts."""

import time
from collections.abc import Callable

_RESET_S = 60.0  # what ran this long is tried again without a delay when it fails once more
_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 30.0


class Backoff:
    """Exponential backoff: no delay for the first attempt, then doubling delays; reset after a time without attempts.

    Args:
        clock: a monotonic clock, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._delay_s = 0.0
        self._reset_at_s = clock()

    def next_delay_s(self) -> float:
        """Return the delay before the next attempt, seconds."""
        now_s = self._clock()
        if now_s >= self._reset_at_s:
            self._delay_s = 0.0
        else:
            self._delay_s = min(max(2 * self._delay_s, _MIN_DELAY_S), _MAX_DELAY_S)
        self._reset_at_s = now_s + self._delay_s + _RESET_S
        return self._delay_s
