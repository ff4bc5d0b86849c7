"""Groups hold together: no offer comes in through one weak link."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from retrieval.matching import grouping
from retrieval.matching.grouping import ProductGroup, group_offers

SURE = 0.9


def grouped(probabilities: dict[tuple[int, int], float], candidates: Sequence[tuple[int, int]] = ()) -> list[set[int]]:
    """Groups of offers with these probabilities; pairs that are not named are not the same.

    Args:
        candidates: pairs that are known before; all that are named by default.
    """
    compare = comparing(probabilities)
    pairs = np.array(sorted(candidates or probabilities), np.int64)
    groups = group_offers(pairs, compare(pairs[:, 0], pairs[:, 1]), SURE, compare)
    return sorted((set(group.members.tolist()) for group in groups), key=min)


def comparing(probabilities: dict[tuple[int, int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda left, right: np.array(
        [probabilities.get((min(i, j), max(i, j)), 0.01) for i, j in zip(left.tolist(), right.tolist(), strict=True)],
        np.float32,
    )


def test_sure_pairs_make_groups() -> None:
    assert grouped({(0, 1): 0.95, (2, 3): 0.99, (4, 5): 0.5}) == [{0, 1}, {2, 3}]


def test_a_chain_is_cut_where_it_is_weak() -> None:
    """1 is surely 0 and surely 2, but 0 and 2 are not the same: the surer pair stays."""
    assert grouped({(0, 1): 0.97, (1, 2): 0.95, (0, 2): 0.02}) == [{0, 1}]
    assert grouped({(0, 1): 0.97, (1, 2): 0.95, (0, 2): 0.6}) == [{0, 1, 2}]


def test_two_products_are_not_joined_by_one_pair() -> None:
    sure = {(0, 1): 0.99, (0, 2): 0.99, (1, 2): 0.99, (3, 4): 0.99, (3, 5): 0.99, (4, 5): 0.99}
    assert grouped({**sure, (2, 3): 0.95}) == [{0, 1, 2}, {3, 4, 5}]


def test_pairs_that_were_no_candidates_are_compared() -> None:
    probabilities = {(0, 1): 0.97, (1, 2): 0.95, (0, 2): 0.02}
    assert grouped(probabilities, candidates=[(0, 1), (1, 2)]) == [{0, 1}]


def test_everyone_in_a_group_is_surely_the_same_as_another() -> None:
    probabilities = {(0, 1): 0.99, (1, 2): 0.95, (2, 3): 0.95, (0, 2): 0.6, (0, 3): 0.6, (1, 3): 0.6}
    assert grouped(probabilities) == [{0, 1, 2, 3}]
    assert grouped({**probabilities, (2, 3): 0.6}) == [{0, 1, 2}]


def test_a_member_s_probability_is_the_mean_of_its_pairs() -> None:
    probabilities = {(0, 1): 0.96, (1, 2): 0.92, (0, 2): 0.7}
    pairs = np.array(sorted(probabilities))
    compare = comparing(probabilities)
    [group] = group_offers(pairs, compare(pairs[:, 0], pairs[:, 1]), SURE, compare)
    assert isinstance(group, ProductGroup)
    np.testing.assert_allclose(group.probabilities, [0.83, 0.94, 0.81], atol=1e-6)


def test_too_many_connected_offers_are_split_by_surer_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_MOST_COMPARED", 3)
    probabilities = {(0, 1): 0.99, (1, 2): 0.91, (2, 3): 0.99}
    assert grouped(probabilities) == [{0, 1}, {2, 3}]


def test_nothing_sure_is_no_group() -> None:
    assert grouped({(0, 1): 0.5}) == []
    assert list(group_offers(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), SURE, comparing({}))) == []
