import pytest

from server.errors import QueueFullError
from server.inference.queue_limits import QueueLimits


@pytest.fixture
def limits() -> QueueLimits:
    return QueueLimits("picture", max_items=3, max_bytes=100, wait_s=lambda: 2.5)


def test_places_are_counted_in_items(limits: QueueLimits):
    limits.take(2, 10)
    with pytest.raises(
        QueueFullError, match="the picture queue has no room for 2 more, 2 of 3 places are taken; wait and send"
    ):
        limits.take(2, 10)
    limits.give_back(2, 10)
    limits.take(3, 10)


def test_places_are_counted_in_bytes(limits: QueueLimits):
    limits.take(1, 60)
    with pytest.raises(QueueFullError, match="no room for 41 bytes more, 60 of 100 bytes are taken; wait and send"):
        limits.take(1, 41)
    limits.take(1, 40)
    assert (limits.items, limits.num_bytes) == (2, 100)


def test_a_request_of_any_bytes_is_taken_where_nothing_waits(limits: QueueLimits):
    """Or it would be refused for good."""
    limits.take(1, 1000)
    with pytest.raises(QueueFullError):
        limits.take(1, 1)
    limits.give_back(1, 1000)
    limits.take(1, 1)


def test_the_refused_learn_how_long_the_queue_is(limits: QueueLimits):
    limits.take(3, 3)
    with pytest.raises(QueueFullError) as caught:
        limits.take(1, 1)
    assert caught.value.retry_after_s == 2.5
