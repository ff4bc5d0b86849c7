"""Pauses of work that is done beside other work on the same cores."""

import threading
import time


class Throttle:
    """Pauses between the steps of one piece of work, for what waits for the cores meanwhile.

    Args:
        ratio: length of a pause, times what the step before it took; 0 makes none.
        is_over: once set, pauses end at once, for who waits for the work itself.
    """

    def __init__(self, ratio: float = 0.0, is_over: threading.Event | None = None):
        self._ratio = ratio
        self._is_over = is_over or threading.Event()
        self._step_began_s = time.perf_counter()

    @property
    def is_active(self) -> bool:
        """True if there are any pauses."""
        return self._ratio > 0

    def pause(self) -> None:
        """Pause, at the end of a step; the next one begins."""
        if self.is_active:
            self._is_over.wait(self._ratio * (time.perf_counter() - self._step_began_s))
        self._step_began_s = time.perf_counter()
