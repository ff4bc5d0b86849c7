"""Measures on rankings small enough to check by eye."""

import numpy as np
import pytest

from retrieval.benchmark.measures import RankedHits, means, paired_interval, query_measures, same_depths


def ranked() -> RankedHits:
    """Two queries with three ranks: the first finds its product at 1 and 3 of 4 there are, the second nothing of it."""
    is_hit = np.array([[True, True, True], [True, True, False]])
    is_same = np.array([[True, False, True], [False, False, False]])
    depths = {1: np.array([[True, True, True], [True, False, False]]), 2: np.array([[True, False, True], [False] * 3])}
    return RankedHits(is_hit, is_same, depths, np.array([4, 1]), np.array([2, 2]))


def test_measures_of_each_query() -> None:
    found = query_measures(ranked(), (1, 3))
    np.testing.assert_allclose(found["got_results@3"], [1, 2 / 3])
    np.testing.assert_allclose(found["same_product@1"], [1, 0])
    np.testing.assert_allclose(found["same_product@3"], [2 / 3, 0])
    np.testing.assert_allclose(found["accuracy@3"], [1, 0])
    np.testing.assert_allclose(found["recall@3"], [0.5, 0])
    np.testing.assert_allclose(found["same_category@3"], [2 / 3, 0])
    np.testing.assert_allclose(found["same_category_depth_1@3"], [1, 1 / 3])
    np.testing.assert_allclose(found["mean_average_precision"], [(1 + 2 / 3) / 3, 0])


def test_queries_of_unknown_products_are_left_out() -> None:
    hits = ranked()
    unknown = RankedHits(hits.is_hit, hits.is_same_product, hits.is_same_category, np.array([4, 0]), np.array([2, 0]))
    figures = means(query_measures(unknown, (1,)))
    assert figures["same_product@1"] == 1
    assert figures["same_category@1"] == 1
    nothing = RankedHits(hits.is_hit, hits.is_same_product, {}, np.array([0, 0]), np.array([0, 0]))
    assert "same_product@1" not in means(query_measures(nothing, (1,)))


@pytest.mark.parametrize(
    ("asked", "found", "depth"),
    [("A>B>C", "A>B>C", 3), ("A>B>C", "A>B>D", 2), ("A>B", "C>B", 0), ("A>B", "A>B>C", 2), ("", "", 0), ("A", "AB", 0)],
)
def test_levels_shared(asked: str, found: str, depth: int) -> None:
    assert same_depths(asked, found) == depth


def test_the_interval_of_a_paired_difference() -> None:
    values = np.tile([1.0, 1.0, 0.0, 1.0], 100)
    others = np.tile([0.0, 1.0, 0.0, 1.0], 100)
    difference, low, high = paired_interval(values, others)
    assert difference == 0.25
    assert 0.19 < low < 0.25 < high < 0.31
    assert paired_interval(values, others) == (difference, low, high)
    assert paired_interval(values, values) == (0, 0, 0)
    assert np.isnan(paired_interval(np.array([np.nan]), np.array([1.0]))).all()
