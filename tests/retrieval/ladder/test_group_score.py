"""The score on groups small enough to count by hand."""

import numpy as np
import pytest

from retrieval.ladder.group_score import group_f1, score_groups

#: Two groups of three and two offers, and one alone.
GROUPS = np.array([0, 0, 0, 1, 1, 2])
NONE = np.zeros((0, 2), np.int64)


def all_pairs(groups: np.ndarray) -> np.ndarray:
    return np.argwhere(np.triu(groups[:, None] == groups, 1))


def test_each_offer_by_itself() -> None:
    """One of three is found, and nothing wrong: F1 is 2 / (1 + 3)."""
    np.testing.assert_allclose(group_f1(GROUPS, NONE), [0.5, 0.5, 0.5, 2 / 3, 2 / 3, 1])


def test_right_and_wrong_pairs_are_counted_for_both_offers() -> None:
    found = group_f1(GROUPS, np.array([[0, 1], [2, 3], [3, 4]]))
    # 0 and 1: two called, both right, of three. 2: two called, one right, of three. 3: three called, two right, of two
    np.testing.assert_allclose(found, [4 / 5, 4 / 5, 2 / 5, 4 / 5, 1, 1])


def test_score_of_some_pairs() -> None:
    score = score_groups(GROUPS, np.array([[0, 1], [2, 3], [3, 4]]))
    assert score.f1 == pytest.approx(4.8 / 6)
    assert score.precision == pytest.approx(2 / 3)
    assert score.recall == pytest.approx(2 / 4)
    assert score.by_group_size == pytest.approx({1: 1, 2: 0.9, 3: 2 / 3})
    assert score.interval[0] <= score.f1 <= score.interval[1]
    assert score.figures["f1_by_group_size"] == pytest.approx({"1": 1, "2": 0.9, "3": 2 / 3})


@pytest.mark.parametrize("seed", range(5))
def test_only_the_groups_themselves_are_perfect(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 12, 40)
    pairs = all_pairs(groups)
    assert (group_f1(groups, pairs) == 1).all()
    score = score_groups(groups, pairs)
    assert (score.f1, score.precision, score.recall, score.interval) == (1, 1, 1, (1, 1))
    missed = np.delete(pairs, random.integers(len(pairs)), axis=0)
    first, other = 0, int(np.flatnonzero(groups != groups[0])[0])
    wrong = np.concatenate([pairs, [[first, other]]])
    for worse in (missed, wrong):
        found = group_f1(groups, worse)
        assert (found < 1).sum() == 2  # the two offers of the pair
        assert (found > 0).all()


def test_large_groups_are_one_line() -> None:
    groups = np.repeat([0, 1], [5, 9])
    assert score_groups(groups, NONE).figures["f1_by_group_size"].keys() == {"5+"}


def test_nothing_to_call_the_same_is_no_division_by_zero() -> None:
    score = score_groups(np.arange(4), NONE)
    assert (score.f1, score.precision, score.recall) == (1, 1, 1)
