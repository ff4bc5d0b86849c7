import pytest

from server.batch_times import BatchTimes


def test_nothing_is_expected_before_the_first_batch():
    assert BatchTimes(max_batch_items=4).seconds(100) == 0.0


def test_rows_take_as_many_batches_as_they_need():
    """A row alone takes 1 s, four together 2 s: ten rows are two full batches and one of 2, priced as 4."""
    times = BatchTimes(max_batch_items=4)
    times.add(1, 1.0)
    times.add(4, 2.0)
    assert [times.seconds(count) for count in (0, 1, 2, 4, 5, 10)] == [0.0, 1.0, 2.0, 2.0, 3.0, 6.0]


def test_an_unseen_full_batch_is_taken_for_the_largest_seen():
    times = BatchTimes(max_batch_items=8)
    times.add(2, 0.5)
    assert times.seconds(16) == 1.0


def test_the_average_moves():
    times = BatchTimes(max_batch_items=1)
    times.add(1, 1.0)
    times.add(1, 2.0)
    assert times.seconds(1) == pytest.approx(1.2)
    for _ in range(30):
        times.add(1, 2.0)
    assert times.seconds(1) == pytest.approx(2.0, rel=0.01)
