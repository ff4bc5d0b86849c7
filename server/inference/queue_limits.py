"""Limits of a queue: most items and most bytes."""

from server.errors import QueueFullError


class QueueLimits:
    """Counts the items and bytes of a queue and rejects what exceeds the limits. Not thread-safe.

    An empty queue accepts one request of any size in bytes, because it would be rejected forever otherwise.

    Args:
        name: the queue's name, for error messages.
        max_items, max_bytes: limits of the queue.
    """

    def __init__(self, name: str, max_items: int, max_bytes: int):
        self.name = name
        self._max_items = max_items
        self._max_bytes = max_bytes
        self.items = 0
        self.num_bytes = 0

    def check(self, items: int, num_bytes: int, wait_s: float) -> None:
        """Check that there is room for one request.

        Args:
            wait_s: expected time until the queue is empty, seconds; becomes the retry delay.
        Raises:
            QueueFullError: there is none.
        """
        excess = self._excess(items, num_bytes)
        if items and excess:
            raise QueueFullError(f"the {self.name} queue is full: {excess}; wait and send the request again", wait_s)

    def add(self, items: int, num_bytes: int) -> None:
        """Count what was queued."""
        self.items += items
        self.num_bytes += num_bytes

    def release(self, items: int, num_bytes: int) -> None:
        """Stop counting what has left the queue."""
        self.items -= items
        self.num_bytes -= num_bytes

    def _excess(self, items: int, num_bytes: int) -> str | None:
        """Describe how a request exceeds the limits; None when it fits."""
        if self.items + items > self._max_items:
            return f"it holds {self.items} of {self._max_items} items, {items} more do not fit"
        if self.items and self.num_bytes + num_bytes > self._max_bytes:
            return f"it holds {self.num_bytes} of {self._max_bytes} bytes, {num_bytes} more do not fit"
        return None
