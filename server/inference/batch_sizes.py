"""Sizes of the batches so far, for metrics."""


class BatchSizes:
    """Number of batches by size, one count for each power of two.

    Args:
        max_items: most items of a batch.
    """

    def __init__(self, max_items: int):
        self._num_batches = [0] * (_exponent(max_items) + 1)
        self._num_items = 0

    def add(self, num_items: int) -> None:
        """Count a batch of 1 to `max_items` items."""
        self._num_batches[min(_exponent(num_items), len(self._num_batches) - 1)] += 1
        self._num_items += num_items

    def totals(self) -> tuple[dict[int, int], int]:
        """Return the number of batches by upper bound of their size (1, 2, 4, ...), and the number of all items."""
        return {1 << exponent: count for exponent, count in enumerate(self._num_batches)}, self._num_items


def _exponent(num_items: int) -> int:
    return (num_items - 1).bit_length()
