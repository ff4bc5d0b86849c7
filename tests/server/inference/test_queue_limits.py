import pytest

from server.errors import QueueFullError
from server.inference.queue_limits import QueueLimits


@pytest.fixture
def limits() -> QueueLimits:
    return QueueLimits("picture", max_items=3, max_bytes=100)


def reserve(limits: QueueLimits, items: int, num_bytes: int) -> None:
    limits.check(items, num_bytes, wait_s=2.5)
    limits.add(items, num_bytes)


def test_a_full_queue_of_items_rejects_more(limits: QueueLimits):
    reserve(limits, 2, 10)
    with pytest.raises(
        QueueFullError, match="the picture queue is full: it holds 2 of 3 items, 2 more do not fit; wait and send"
    ):
        reserve(limits, 2, 10)
    limits.release(2, 10)
    reserve(limits, 3, 10)


def test_a_full_queue_of_bytes_rejects_more(limits: QueueLimits):
    reserve(limits, 1, 60)
    with pytest.raises(QueueFullError, match="full: it holds 60 of 100 bytes, 41 more do not fit; wait and send"):
        reserve(limits, 1, 41)
    reserve(limits, 1, 40)
    assert (limits.items, limits.num_bytes) == (2, 100)


def test_an_empty_queue_accepts_a_request_of_any_size(limits: QueueLimits):
    """It would be rejected forever otherwise."""
    reserve(limits, 1, 1000)
    with pytest.raises(QueueFullError):
        reserve(limits, 1, 1)
    limits.release(1, 1000)
    reserve(limits, 1, 1)


def test_a_request_with_nothing_for_the_queue_passes_however_full_it_is(limits: QueueLimits):
    reserve(limits, 1, 1000)
    limits.check(0, 0, wait_s=0.0)


def test_the_retry_delay_is_the_expected_wait(limits: QueueLimits):
    reserve(limits, 3, 3)
    with pytest.raises(QueueFullError) as caught:
        reserve(limits, 1, 1)
    assert caught.value.retry_after_s == 2.5
