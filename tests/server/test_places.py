import pytest

from server.errors import QueueFullError
from server.places import Places


@pytest.fixture
def places() -> Places:
    return Places("picture", max_items=3, max_bytes=100, wait_s=lambda: 2.5)


def test_places_are_counted_in_items(places: Places):
    places.take(2, 10)
    with pytest.raises(
        QueueFullError, match="the picture queue has no room for 2 more, 2 of 3 places are taken; wait and send"
    ):
        places.take(2, 10)
    places.give_back(2, 10)
    places.take(3, 10)


def test_places_are_counted_in_bytes(places: Places):
    places.take(1, 60)
    with pytest.raises(QueueFullError, match="no room for 41 bytes more, 60 of 100 bytes are taken; wait and send"):
        places.take(1, 41)
    places.take(1, 40)
    assert (places.items, places.num_bytes) == (2, 100)


def test_a_request_of_any_bytes_is_taken_where_nothing_waits(places: Places):
    """Or it would be refused for good."""
    places.take(1, 1000)
    with pytest.raises(QueueFullError):
        places.take(1, 1)
    places.give_back(1, 1000)
    places.take(1, 1)


def test_the_refused_learn_how_long_the_queue_is(places: Places):
    places.take(3, 3)
    with pytest.raises(QueueFullError) as caught:
        places.take(1, 1)
    assert caught.value.retry_after_s == 2.5
