"""How long a search has run, all its runs together, and whether its time is over."""

from collections.abc import Callable

from training.tune.record import Record


class SearchTime:
    """A clock that a kill does not set back by more than the time since `save`.

    Args:
        budget_s: seconds that a search may take; None for no limit.
        clock: seconds since any moment; never runs backwards.
    """

    def __init__(self, record: Record, budget_s: float | None, clock: Callable[[], float]):
        self._record = record
        self._budget_s = budget_s
        self._clock = clock
        self._began_at = clock()
        self._earlier_s = float(record.fact("used_s") or 0.0)

    @property
    def used_s(self) -> float:
        """Seconds so far."""
        return self._earlier_s + self._clock() - self._began_at

    @property
    def left_s(self) -> float | None:
        """Seconds left, below 0 when it is over; None without a limit."""
        return None if self._budget_s is None else self._budget_s - self.used_s

    @property
    def is_over(self) -> bool:
        """Whether no trial may begin or go on."""
        return self.left_s is not None and self.left_s <= 0

    def save(self) -> None:
        """Note the time in the record."""
        self._record.write(facts={"used_s": self.used_s})
