"""Limits of a queue: most items and most bytes."""

import threading
from collections.abc import Callable

from server.errors import QueueFullError


class QueueLimits:
    """Counts the items and bytes of a queue and rejects what exceeds the limits. Thread-safe.

    An empty queue accepts one request of any size in bytes, because it would be rejected forever otherwise.

    Args:
        name: the queue's name, for error messages.
        max_items, max_bytes: limits of the queue.
        wait_s: returns the expected time until the queue is empty, seconds; becomes the retry delay.
    """

    def __init__(self, name: str, max_items: int, max_bytes: int, wait_s: Callable[[], float]):
        self._name = name
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self.items = 0
        self.num_bytes = 0

    def reserve(self, items: int, num_bytes: int) -> None:
        """Reserve room for one request.

        Raises:
            QueueFullError: there is no room; nothing was reserved.
        """
        with self._lock:
            excess = self._excess(items, num_bytes)
            if excess is None:
                self.items += items
                self.num_bytes += num_bytes
        if excess is not None:
            text = f"the {self._name} queue is full: {excess}; wait and send the request again"
            raise QueueFullError(text, self._wait_s())

    def release(self, items: int, num_bytes: int) -> None:
        """Release room that was reserved."""
        with self._lock:
            self.items -= items
            self.num_bytes -= num_bytes

    def _excess(self, items: int, num_bytes: int) -> str | None:
        """Describe how a request exceeds the limits; None when it fits."""
        if self.items + items > self._max_items:
            return f"it holds {self.items} of {self._max_items} items, {items} more do not fit"
        if self.items and self.num_bytes + num_bytes > self._max_bytes:
            return f"it holds {self.num_bytes} of {self._max_bytes} bytes, {num_bytes} more do not fit"
        return None
