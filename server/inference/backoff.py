"""Growing delays between attempts."""

_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 30.0


class Backoff:
    """Exponential backoff: no delay for the first attempt, then doubling delays, until one succeeds."""

    def __init__(self) -> None:
        self._delay_s: float | None = None

    def next_delay_s(self) -> float:
        """Return the delay before the next attempt, seconds."""
        delay_s = 0.0 if self._delay_s is None else min(max(2 * self._delay_s, _MIN_DELAY_S), _MAX_DELAY_S)
        self._delay_s = delay_s
        return delay_s

    def reset(self) -> None:
        """Forget the attempts that failed, after one has succeeded."""
        self._delay_s = None
