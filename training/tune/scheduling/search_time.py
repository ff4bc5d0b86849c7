"""The run time of a search over all its runs, and its time budget."""

import time
from collections.abc import Callable
from typing import Any

from training.tune.scheduling.record import Record


class SearchTime:
    """The run time of a search; a kill loses at most the time since the last `save`.

    Args:
        budget_s: time budget, seconds; None for no limit.
        clock: a monotonic clock, seconds.
    """

    def __init__(self, record: Record, budget_s: float | None, clock: Callable[[], float]):
        self._record = record
        self._budget_s = budget_s
        self._clock = clock
        self._began_at = clock()
        self._earlier_s = float(record.fact("used_s") or 0.0)
        #: When the run before this one was last at work, seconds since 1970; 0 in the first.
        self.earlier_seen_at = float(record.fact("seen_at") or 0.0)

    @property
    def used_s(self) -> float:
        """Run time so far, seconds."""
        return self._earlier_s + self._clock() - self._began_at

    @property
    def left_s(self) -> float | None:
        """Remaining time, seconds; negative when it is over, None without a limit."""
        return None if self._budget_s is None else self._budget_s - self.used_s

    @property
    def is_over(self) -> bool:
        """True when the time budget is spent."""
        return self.left_s is not None and self.left_s <= 0

    def facts(self) -> dict[str, Any]:
        """The run time for the record, and the moment at which it was read."""
        return {"used_s": self.used_s, "seen_at": time.time()}

    def save(self) -> None:
        """Write the run time to the record."""
        self._record.write(facts=self.facts())
