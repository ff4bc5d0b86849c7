"""How many calls at the same time are answered in time."""

import math
import time
from collections import deque
from collections.abc import Callable
from statistics import median

#: Fewer in flight, on average, say nothing of how many could be answered.
_FEW_CALLS = 8
#: More than few, or what follows from the limit would take it away.
_LEAST_LIMIT = 16
_WINDOW_S = 0.25
#: Their median is the rate: it outlasts a pause, which is a single window, and follows a change after half of them.
_NUM_WINDOWS = 9
_LEAST_WINDOWS = 3
_NEWEST_CALL_SHARE = 0.05  # of the last call in the moving average of the deadlines
#: Calls may wait for half of what their callers allow: the other half is for times when all takes twice as long.
_SHARE_OF_DEADLINE = 0.5


class CallPace:
    """The most calls in flight, by how many were answered lately.

    A call that finds N others in flight takes about as long as the last N took to be answered one after the other
    (Little 1961), so that of too many none is answered before its deadline. While few are in flight, and where callers
    set no deadline, any number may be. All of it on one thread.

    Args:
        now_s: a clock.
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
        """Whether a call that came now would be one too many."""
        return self._num_in_flight >= self._limit

    def begin(self, allowed_s: float | None) -> None:
        """A call came.

        Args:
            allowed_s: what its deadline leaves, seconds; None without one.
        """
        self._pass_time()
        self._num_in_flight += 1
        if allowed_s is not None:
            before_s = allowed_s if self._allowed_s is None else self._allowed_s
            self._allowed_s = before_s + _NEWEST_CALL_SHARE * (allowed_s - before_s)

    def end(self, is_answered: bool) -> None:
        """A call is over.

        Args:
            is_answered: rather than refused, failed or left by its caller.
        """
        self._pass_time()
        self._num_in_flight -= 1
        self._num_answered += is_answered
        if self._busy_s >= _WINDOW_S:
            self._judge()
            self._begin_window()

    def _pass_time(self) -> None:
        now_s = self._now_s()
        if self._num_in_flight:
            self._busy_s += now_s - self._changed_s
            self._call_s += self._num_in_flight * (now_s - self._changed_s)
        self._changed_s = now_s

    def _begin_window(self) -> None:
        self._busy_s = self._call_s = 0.0
        self._num_answered = 0

    def _judge(self) -> None:
        self._limit = math.inf
        if self._call_s < _FEW_CALLS * self._busy_s:
            if self._rates_rps:
                self._rates_rps.popleft()
            return
        self._rates_rps.append(self._num_answered / self._busy_s)
        if self._allowed_s is not None and len(self._rates_rps) >= _LEAST_WINDOWS:
            in_time = median(self._rates_rps) * self._allowed_s * _SHARE_OF_DEADLINE
            self._limit = max(_LEAST_LIMIT, math.floor(in_time))
