import numpy as np
import pytest

from retrieval.pairs.candidates import candidate_pairs, pair_positions
from tests.retrieval.pairs.support import gallery


def test_every_two_pictures_of_an_item_wherever_they_stand() -> None:
    pictures = gallery(["a", "b", "a", "c", "b", "a"])
    found = {
        (pictures.ids[i], pictures.ids[j])
        for left, right, _ in candidate_pairs(pictures, 100, seed=0)
        for i, j in zip(left, right, strict=True)
    }
    assert found == {("p0", "p2"), ("p0", "p5"), ("p2", "p5"), ("p1", "p4")}


def test_an_item_with_very_many_pictures_gives_a_sample() -> None:
    pictures = gallery(["a"] * 300)
    ((left, right, num_not_drawn),) = candidate_pairs(pictures, 50, seed=1)
    assert len({*zip(left.tolist(), right.tolist(), strict=True)}) == 50
    assert (left < right).all()
    assert num_not_drawn == 300 * 299 // 2 - 50
    ((again, _, _),) = candidate_pairs(pictures, 50, seed=1)
    assert again.tolist() == left.tolist()


@pytest.mark.parametrize("count", [2, 3, 7])
def test_pairs_by_number_are_those_of_the_triangle(count: int) -> None:
    left, right = np.triu_indices(count, 1)
    found = pair_positions(np.arange(len(left)), count)
    assert (found[0].tolist(), found[1].tolist()) == (left.tolist(), right.tolist())
