import numpy as np

from retrieval.pairs.shared_pictures import count_items
from tests.retrieval.pairs.support import gallery

CHART = 0b1111 << 40


def test_a_picture_of_many_items_is_counted_in_all_its_cuts() -> None:
    """The first and the last three are one chart; bits 3, 17 and 60 differ, in three bands of four."""
    hashes = [CHART, 7, CHART ^ 1 << 3 ^ 1 << 17, CHART ^ 1 << 60, CHART]
    vectors = np.eye(5)
    vectors[[2, 3, 4]] = vectors[0]
    found = count_items(gallery(["a", "a", "b", "c", "c"], hashes, vectors), 0.95)
    assert found.tolist() == [3, 1, 3, 3, 3]


def test_equal_hashes_of_unlike_vectors_are_other_pictures() -> None:
    """Two shirts in one pose differ in colour, which the hash does not see."""
    assert count_items(gallery(["a", "b"], [CHART, CHART]), 0.95).tolist() == [1, 1]


def test_a_picture_in_every_item_takes_no_more_time_than_others() -> None:
    count = 4_000
    vectors = np.zeros((count, 2))
    vectors[:, 0] = 1
    found = count_items(gallery([f"i{i}" for i in range(count)], [CHART] * count, vectors), 0.95)
    assert set(found.tolist()) == {count}
