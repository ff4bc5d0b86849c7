"""An adaptive limit of concurrent calls, from the rate of answers and the callers' deadlines."""

import math
import time
from collections import deque
from collections.abc import Callable
from statistics import median

#: Fewer calls in flight, on average, do not show the server's capacity.
_FEW_CALLS = 8
#: Above _FEW_CALLS, or the limit itself would keep calls below the number that sets a limit.
_MIN_LIMIT = 16
_WINDOW_S = 0.25
#: The rate is their median: a pause fills a single window and does not move it; a change does after half of them.
_NUM_WINDOWS = 9
_MIN_WINDOWS = 3
_NEWEST_CALL_WEIGHT = 0.05  # in the moving average of the deadlines
#: Calls may take half of what their deadlines allow; the other half is a reserve for times of half the rate.
_SHARE_OF_DEADLINE = 0.5


class ConcurrencyLimit:
    """Limits the calls in flight to those that can be answered before their deadlines.

    By Little's law (Little 1961) the time of a call is the number of calls in flight divided by the rate of answers, so
    that with too many in flight none meets its deadline. There is no limit while few are in flight or callers set no
    deadline. Not thread-safe.

    Args:
        now_s: a monotonic clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.perf_counter):
        self._limit = math.inf
        self._now_s = now_s
        self._num_in_flight = 0
        self._changed_s = 0.0
        self._allowed_s: float | None = None
        self._rates_rps: deque[float] = deque(maxlen=_NUM_WINDOWS)
        self._begin_window()

    @property
    def is_full(self) -> bool:
        """True when a new call would exceed the limit."""
        return self._num_in_flight >= self._limit

    def begin(self, allowed_s: float | None) -> None:
        """Count a new call.

        Args:
            allowed_s: time until its deadline, seconds; None without one.
        """
        self._advance_clock()
        self._num_in_flight += 1
        if allowed_s is not None:
            before_s = allowed_s if self._allowed_s is None else self._allowed_s
            self._allowed_s = before_s + _NEWEST_CALL_WEIGHT * (allowed_s - before_s)

    def end(self, is_answered: bool) -> None:
        """Stop counting a call that has ended.

        Args:
            is_answered: True for an answer; False for a rejected, failed or cancelled call.
        """
        self._advance_clock()
        self._num_in_flight -= 1
        self._num_answered += is_answered
        if self._busy_s >= _WINDOW_S:
            self._update_limit()
            self._begin_window()

    def _advance_clock(self) -> None:
        now_s = self._now_s()
        if self._num_in_flight:
            self._busy_s += now_s - self._changed_s
            self._call_s += self._num_in_flight * (now_s - self._changed_s)
        self._changed_s = now_s

    def _begin_window(self) -> None:
        self._busy_s = self._call_s = 0.0
        self._num_answered = 0

    def _update_limit(self) -> None:
        self._limit = math.inf
        if self._call_s < _FEW_CALLS * self._busy_s:
            if self._rates_rps:
                self._rates_rps.popleft()
            return
        self._rates_rps.append(self._num_answered / self._busy_s)
        if self._allowed_s is not None and len(self._rates_rps) >= _MIN_WINDOWS:
            in_time = median(self._rates_rps) * self._allowed_s * _SHARE_OF_DEADLINE
            self._limit = max(_MIN_LIMIT, math.floor(in_time))
