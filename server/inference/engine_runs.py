"""The current runs of an engine and their times, to detect one that hangs."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager


class EngineRuns:
    """Measures the time of each run; thread-safe, except `hanging`, which one thread calls periodically."""

    def __init__(self) -> None:
        self._lanes: dict[int, str] = {}
        self._numbers = itertools.count()
        self._seen_s: dict[int, float] = {}

    @contextmanager
    def run(self, lane: str) -> Iterator[None]:
        """Register a run of a lane for the duration of the context."""
        number = next(self._numbers)
        self._lanes[number] = lane
        try:
            yield
        finally:
            del self._lanes[number]

    def hanging(self, timeout_s: float, seconds: float) -> str | None:
        """Return the lane of a run that takes longer than `timeout_s`; None when there is none.

        Args:
            seconds: poll interval since the last call. Summed up here, so that a pause of the process is not a hang.
        """
        lanes = dict(self._lanes)
        self._seen_s = {number: self._seen_s.get(number, -seconds) + seconds for number in lanes}
        return next((lanes[number] for number, seen_s in self._seen_s.items() if seen_s > timeout_s), None)
