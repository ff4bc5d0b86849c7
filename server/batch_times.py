"""How long the batches of one program take."""

_NEWEST_SHARE = 0.2  # of the last batch in the moving average: five batches tell most


class BatchTimes:
    """Moving averages by batch size, one for each power of two; written by one thread.

    A single average of rows per second would judge a full queue by the small batches before it, which
    cost more a row.

    Args:
        max_batch_rows: most rows of one batch.
    """

    def __init__(self, max_batch_rows: int):
        self._max_batch_rows = max_batch_rows
        self._seconds: dict[int, float] = {}
        self._num_batches = [0] * (_size(max_batch_rows) + 1)
        self._num_rows = 0

    def add(self, num_rows: int, seconds: float) -> None:
        """Learn from a batch that was run."""
        size = _size(num_rows)
        before = self._seconds.get(size, seconds)
        self._seconds[size] = before + _NEWEST_SHARE * (seconds - before)
        self._num_batches[size] += 1
        self._num_rows += num_rows

    def totals(self) -> tuple[dict[int, int], int]:
        """The batches so far by their most rows (1, 2, 4, ...), and the rows of all of them."""
        return {1 << size: count for size, count in enumerate(self._num_batches)}, self._num_rows

    def seconds(self, num_rows: int) -> float:
        """The time that rows take, in as many batches as they need; 0 before anything was run."""
        num_full, rest = divmod(num_rows, self._max_batch_rows)
        return num_full * self._batch_s(self._max_batch_rows) + (self._batch_s(rest) if rest else 0.0)

    def _batch_s(self, num_rows: int) -> float:
        """By the next larger size that was seen, which takes as long at most; else by the largest one."""
        seen = sorted(self._seconds.copy().items())
        for size, seconds in seen:
            if size >= _size(num_rows):
                return seconds
        return seen[-1][1] if seen else 0.0


def _size(num_rows: int) -> int:
    return (num_rows - 1).bit_length()
