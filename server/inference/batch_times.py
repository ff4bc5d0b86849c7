"""Expected times of the batches of one batcher, by batch size."""

from collections import deque
from statistics import median

# The estimate is their median: a pause of the machine lengthens the batch of every worker, and moves the median only
# when it affects half of them. A mean would reject callers for seconds after a pause.
_NUM_NEWEST = 9


class BatchTimes:
    """Median times of batches by size, one for each power of two; its owner's lock guards writes.

    A single mean of items per second would estimate a full queue by the small batches before it, which
    take longer per item.

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
        """Record the time of a finished batch."""
        size = _size(num_items)
        newest = self._newest.setdefault(size, deque(maxlen=_NUM_NEWEST))
        newest.append(seconds)
        self._seconds[size] = median(newest)
        self._update_expected()
        self._num_batches[size] += 1
        self._num_items += num_items

    def totals(self) -> tuple[dict[int, int], int]:
        """Return the number of batches by upper bound of their size (1, 2, 4, ...), and the number of all items."""
        return {1 << size: count for size, count in enumerate(self._num_batches)}, self._num_items

    def seconds(self, num_items: int) -> float:
        """Estimate the time of items, in as many batches as they need, seconds; 0 before the first batch."""
        num_full, rest = divmod(num_items, self._max_batch_items)
        return num_full * self._expected[-1] + (self._expected[_size(rest)] if rest else 0.0)

    def _update_expected(self) -> None:
        """Bound the time of each size by that of any larger size seen, and by two batches of half the size.

        So a size that was first seen during a pause is estimated from the neighbouring sizes.
        """
        largest = max(self._seconds)
        for size in range(len(self._expected)):
            larger = [seconds for seen, seconds in self._seconds.items() if seen >= size]
            expected = min(larger, default=self._seconds[largest])
            self._expected[size] = min(expected, 2 * self._expected[size - 1]) if size else expected


def _size(num_items: int) -> int:
    return (num_items - 1).bit_length()
