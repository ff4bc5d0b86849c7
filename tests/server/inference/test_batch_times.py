import pytest

from server.inference.batch_times import BatchTimes


def test_nothing_is_expected_before_the_first_batch():
    assert BatchTimes(max_batch_items=4).seconds(100) == 0.0


def test_rows_take_as_many_batches_as_they_need():
    """A row alone takes 1 s, four together 2 s: ten rows are two full batches and one of 2, priced as 4."""
    times = BatchTimes(max_batch_items=4)
    times.add(1, 1.0)
    times.add(4, 2.0)
    assert [times.seconds(count) for count in (0, 1, 2, 4, 5, 10)] == [0.0, 1.0, 2.0, 2.0, 3.0, 6.0]


def test_an_unseen_full_batch_is_estimated_by_the_largest_seen():
    times = BatchTimes(max_batch_items=8)
    times.add(2, 0.5)
    assert times.seconds(16) == 1.0


def test_the_newest_batches_count():
    times = BatchTimes(max_batch_items=1)
    times.add(1, 1.0)
    times.add(1, 2.0)
    assert times.seconds(1) == pytest.approx(1.5)
    for _ in range(8):
        times.add(1, 2.0)
    assert times.seconds(1) == 2.0


def test_a_pause_in_the_batches_of_four_workers_does_not_change_the_estimate():
    times = BatchTimes(max_batch_items=1)
    for seconds in (0.1,) * 5 + (2.6,) * 4:
        times.add(1, seconds)
    assert times.seconds(1) == 0.1


@pytest.mark.parametrize(("paused_items", "expected"), [(1, 0.2), (2, 0.2), (4, 0.4)])
def test_a_size_first_seen_in_a_pause_is_estimated_by_its_neighbours(paused_items, expected):
    times = BatchTimes(max_batch_items=4)
    for num_items, seconds in ((1, 0.1), (2, 0.2), (4, 0.4)):
        times.add(num_items, 2.6 if num_items == paused_items else seconds)
    assert times.seconds(paused_items) == pytest.approx(expected)
