"""Pauses of work that is done beside other work on the same cores."""

import time


class Rests:
    """Pauses between the steps of one piece of work, for what waits for the cores meanwhile.

    Args:
        ratio: length of a pause, times what the step before it took; 0 makes none.
    """

    def __init__(self, ratio: float = 0.0):
        self._ratio = ratio
        self._step_began_s = time.perf_counter()

    @property
    def are_taken(self) -> bool:
        """Whether there are any."""
        return self._ratio > 0

    def take(self) -> None:
        """Pause, at the end of a step; the next one begins."""
        if self.are_taken:
            time.sleep(self._ratio * (time.perf_counter() - self._step_began_s))
        self._step_began_s = time.perf_counter()
