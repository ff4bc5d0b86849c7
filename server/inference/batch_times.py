"""How long the batches of one batcher take."""

from collections import deque
from statistics import median

# Their median is told: a pause of the machine, which every worker's batch of that moment takes for its own
# time, moves it only where it fills half of them. An average would refuse callers for seconds after it.
_NUM_NEWEST = 9


class BatchTimes:
    """The usual times of batches by their size, one for each power of two; written under a lock of its owner.

    A single average of items per second would judge a full queue by the small batches before it, which
    cost more an item.

    Args:
        max_batch_items: most items of one batch.
    """

    def __init__(self, max_batch_items: int):
        self._max_batch_items = max_batch_items
        self._newest: dict[int, deque[float]] = {}
        self._seconds: dict[int, float] = {}
        self._expected = [0.0] * (_size(max_batch_items) + 1)
        self._num_batches = [0] * (_size(max_batch_items) + 1)
        self._num_items = 0

    def add(self, num_items: int, seconds: float) -> None:
        """Learn from a batch that was run."""
        size = _size(num_items)
        newest = self._newest.setdefault(size, deque(maxlen=_NUM_NEWEST))
        newest.append(seconds)
        self._seconds[size] = median(newest)
        self._expect()
        self._num_batches[size] += 1
        self._num_items += num_items

    def totals(self) -> tuple[dict[int, int], int]:
        """The batches so far by their most items (1, 2, 4, ...), and the items of all of them."""
        return {1 << size: count for size, count in enumerate(self._num_batches)}, self._num_items

    def seconds(self, num_items: int) -> float:
        """The time that items take, in as many batches as they need; 0 before anything was run."""
        num_full, rest = divmod(num_items, self._max_batch_items)
        return num_full * self._expected[-1] + (self._expected[_size(rest)] if rest else 0.0)

    def _expect(self) -> None:
        """Any size takes at most as long as a larger one that was seen, and as two batches of its half.

        So a size that was first seen in a pause is told by its neighbours.
        """
        largest = max(self._seconds)
        for size in range(len(self._expected)):
            larger = [seconds for seen, seconds in self._seconds.items() if seen >= size]
            expected = min(larger, default=self._seconds[largest])
            self._expected[size] = min(expected, 2 * self._expected[size - 1]) if size else expected


def _size(num_items: int) -> int:
    return (num_items - 1).bit_length()
