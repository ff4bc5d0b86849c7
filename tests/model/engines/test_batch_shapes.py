import numpy as np
import pytest

from model.engines.batch_shapes import bucket, buckets, padded


def test_buckets_grow_by_half_or_less_than_that() -> None:
    assert buckets(24) == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert buckets(5) == [1, 2, 3, 4, 6]
    assert all(num_rows <= bucket(num_rows) <= 1.5 * num_rows for num_rows in range(2, 2000))


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 2)])
def test_rows_are_padded_with_zeros(shape: tuple[int, ...]) -> None:
    rows = np.ones(shape, np.int32)
    larger = padded(rows, 4)
    assert (larger.shape, larger.dtype) == ((4, *shape[1:]), np.int32)
    np.testing.assert_array_equal(larger[:3], rows)
    assert not larger[3].any()
    assert padded(rows, 3) is rows
