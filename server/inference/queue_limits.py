"""Room in front of a program: how much may wait."""

import threading
from collections.abc import Callable

from server.errors import QueueFullError


class QueueLimits:
    """So many items and so many bytes; thread-safe.

    Where nothing waits one request is taken whatever its bytes, or it would be refused for good.

    Args:
        name: of the queue, for the refused caller.
        max_items, max_bytes: most that may be taken at the same time.
        wait_s: how long what is there will take, seconds; told to the refused caller.
    """

    def __init__(self, name: str, max_items: int, max_bytes: int, wait_s: Callable[[], float]):
        self._name = name
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self.items = 0
        self.num_bytes = 0

    def take(self, items: int, num_bytes: int) -> None:
        """Take places for one request.

        Raises:
            QueueFullError: there is no room; nothing was taken.
        """
        with self._lock:
            refusal = self._refusal(items, num_bytes)
            if refusal is None:
                self.items += items
                self.num_bytes += num_bytes
        if refusal is not None:
            text = f"the {self._name} queue has no room for {refusal} are taken; wait and send the request again"
            raise QueueFullError(text, self._wait_s())

    def give_back(self, items: int, num_bytes: int) -> None:
        """Free places that were taken."""
        with self._lock:
            self.items -= items
            self.num_bytes -= num_bytes

    def _refusal(self, items: int, num_bytes: int) -> str | None:
        if self.items + items > self._max_items:
            return f"{items} more, {self.items} of {self._max_items} places"
        if self.items and self.num_bytes + num_bytes > self._max_bytes:
            return f"{num_bytes} bytes more, {self.num_bytes} of {self._max_bytes} bytes"
        return None
