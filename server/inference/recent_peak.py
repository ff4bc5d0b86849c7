"""The largest of the newest values of a number that changes quickly."""

import time
from collections.abc import Callable

_WINDOW_S = 0.25


class RecentPeak:
    """The largest value of the last quarter to half of a second. Not thread-safe.

    Args:
        now_s: a monotonic clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.perf_counter):
        self._now_s = now_s
        self._window_ends_s = 0.0
        self._current = self._before = 0

    def add(self, value: int) -> None:
        """Add the newest value."""
        self._advance()
        self._current = max(self._current, value)

    @property
    def value(self) -> int:
        """The largest value; 0 when there was none."""
        self._advance()
        return max(self._current, self._before)

    def _advance(self) -> None:
        now_s = self._now_s()
        if now_s < self._window_ends_s:
            return
        self._before = self._current if now_s < self._window_ends_s + _WINDOW_S else 0
        self._current = 0
        self._window_ends_s = now_s + _WINDOW_S
