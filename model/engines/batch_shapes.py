"""The few batch sizes that programs are run at, because each new one costs milliseconds to prepare."""

import numpy as np


def bucket(num_rows: int) -> int:
    """The size that `num_rows` (1 or more) are padded to: 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""
    power = 1 << (num_rows - 1).bit_length()
    return power * 3 // 4 if power >= 4 and num_rows <= power * 3 // 4 else power


def buckets(most: int) -> list[int]:
    """Every size that batches of 1 to `most` rows are padded to, ascending."""
    return sorted({bucket(num_rows) for num_rows in range(1, most + 1)})


def padded(rows: np.ndarray, size: int) -> np.ndarray:
    """(B, ...) to (size, ...), zeros behind; itself when it has that size."""
    if len(rows) == size:
        return rows
    larger = np.zeros((size, *rows.shape[1:]), rows.dtype)
    larger[: len(rows)] = rows
    return larger
