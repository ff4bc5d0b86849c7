"""Which runs of an engine are under way, and for how long."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager


class EngineRuns:
    """Counts the time of each run; thread-safe, but for `hanging`, which one thread calls again and again."""

    def __init__(self) -> None:
        self._lanes: dict[int, str] = {}
        self._numbers = itertools.count()
        self._seen_s: dict[int, float] = {}

    @contextmanager
    def run(self, lane: str) -> Iterator[None]:
        """A run of a lane, for as long as the context lasts."""
        number = next(self._numbers)
        self._lanes[number] = lane
        try:
            yield
        finally:
            del self._lanes[number]

    def hanging(self, timeout_s: float, seconds: float) -> str | None:
        """The lane of a run that was seen for longer than `timeout_s`; None when there is none.

        Args:
            seconds: since the last call. Added up here, so that a pause of the whole process is no hang.
        """
        lanes = dict(self._lanes)
        self._seen_s = {number: self._seen_s.get(number, -seconds) + seconds for number in lanes}
        return next((lanes[number] for number, seen_s in self._seen_s.items() if seen_s > timeout_s), None)
