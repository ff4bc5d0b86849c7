"""How long the batches of one batcher take."""

_NEWEST_SHARE = 0.2  # of the last batch in the moving average: five batches tell most


class BatchTimes:
    """Moving averages by batch size, one for each power of two; written under a lock of its owner.

    A single average of items per second would judge a full queue by the small batches before it, which
    cost more an item.

    Args:
        max_batch_items: most items of one batch.
    """

    def __init__(self, max_batch_items: int):
        self._max_batch_items = max_batch_items
        self._seconds: dict[int, float] = {}
        self._expected = [0.0] * (_size(max_batch_items) + 1)
        self._num_batches = [0] * (_size(max_batch_items) + 1)
        self._num_items = 0

    def add(self, num_items: int, seconds: float) -> None:
        """Learn from a batch that was run."""
        size = _size(num_items)
        before = self._seconds.get(size, seconds)
        self._seconds[size] = before + _NEWEST_SHARE * (seconds - before)
        self._expected = [self._expect(size) for size in range(len(self._expected))]
        self._num_batches[size] += 1
        self._num_items += num_items

    def totals(self) -> tuple[dict[int, int], int]:
        """The batches so far by their most items (1, 2, 4, ...), and the items of all of them."""
        return {1 << size: count for size, count in enumerate(self._num_batches)}, self._num_items

    def seconds(self, num_items: int) -> float:
        """The time that items take, in as many batches as they need; 0 before anything was run."""
        num_full, rest = divmod(num_items, self._max_batch_items)
        return num_full * self._expected[-1] + (self._expected[_size(rest)] if rest else 0.0)

    def _expect(self, size: int) -> float:
        """By the next larger size that was seen, which takes as long at most; else by the largest one."""
        seen = sorted(self._seconds)
        return self._seconds[next((larger for larger in seen if larger >= size), seen[-1])]


def _size(num_items: int) -> int:
    return (num_items - 1).bit_length()
