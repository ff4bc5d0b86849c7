"""Paired comparison of two sets of answers."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from model.taxonomy import Taxonomy
from training.metrics.comparison import (
    CategoryChange,
    category_changes,
    compare,
    difference_interval,
    is_significant,
    mcnemar_p_value,
)

TAXONOMY = Taxonomy(["a", "b", "c"])


def test_by_eye() -> None:
    """Check ten rows of which this has 0 to 6 right and the other 2 to 9: seven and eight, two and three alone."""
    is_right, is_right_other = np.arange(10) < 7, np.arange(10) >= 2
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    found = compare(is_right, is_right_other, labels, TAXONOMY)
    assert (found["count"], found["accuracy"], found["accuracy_other"]) == (10, 0.7, 0.8)
    assert found["difference"] == pytest.approx(-0.1)
    assert (found["num_only_this_right"], found["num_only_other_right"]) == (2, 3)
    assert found["p_value"] == pytest.approx(1.0)  # of five, two and three is the most even split
    assert not is_significant(found)
    assert found["categories_won"] == [{"category": "a", "num_right": 3, "num_right_other": 1, "support": 3}]
    assert found["categories_lost"] == [{"category": "c", "num_right": 0, "num_right_other": 3, "support": 3}]
    assert (found["num_categories_won"], found["num_categories_lost"]) == (1, 1)
    assert found["difference_low"] < -0.1 < found["difference_high"]


def test_the_exact_test_by_hand() -> None:
    """1 of 6: 2 * (1 + 6) / 64; none of 10: 2 / 1024."""
    assert mcnemar_p_value(1, 5) == pytest.approx(14 / 64)
    assert mcnemar_p_value(5, 1) == pytest.approx(14 / 64)
    assert mcnemar_p_value(0, 10) == pytest.approx(2 / 1024)
    assert mcnemar_p_value(0, 0) == 1.0


def test_the_interval_equals_a_bootstrap_of_rows() -> None:
    differences = np.repeat([1.0, -1.0, 0.0], [60, 30, 910])
    low, high = difference_interval(60, 30, 1000)
    expected = bootstrap((differences,), np.mean, method="percentile", rng=np.random.default_rng(1))
    assert low == pytest.approx(expected.confidence_interval.low, abs=0.0015)
    assert high == pytest.approx(expected.confidence_interval.high, abs=0.0015)
    assert difference_interval(60, 30, 1000) == (low, high)  # seeded
    assert difference_interval(0, 0, 5) == (0.0, 0.0)


def test_interval_and_test_have_their_nominal_error_rate() -> None:
    """Check 300 pairs of equally good answers, of which about 15 may differ significantly at 5 %."""
    beyond = outside = 0
    labels = np.zeros(400, int)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        is_right, is_right_other = rng.random((2, 400)) < 0.9
        found = compare(is_right, is_right_other, labels, TAXONOMY)
        beyond += is_significant(found)
        outside += not found["difference_low"] <= 0 <= found["difference_high"]
    assert beyond <= 25
    assert 5 <= outside <= 30


def test_changes_are_sorted_by_their_number_of_products() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2])
    won, lost = category_changes(np.ones(6, bool), np.zeros(6, bool), labels, TAXONOMY)
    assert won == [CategoryChange("c", 3, 0, 3), CategoryChange("b", 2, 0, 2), CategoryChange("a", 1, 0, 1)]
    assert lost == []


@pytest.mark.parametrize("lengths", [(2, 1, 2), (1, 1, 2), (0, 0, 0)])
def test_answers_of_different_lengths_are_an_error(lengths: tuple[int, int, int]) -> None:
    first, second, labels = (np.zeros(length, bool) for length in lengths)
    with pytest.raises(ValueError, match=r"expected two answers for each of one or more labels, found \(\d, \d, \d\)"):
        compare(first, second, labels.astype(int), TAXONOMY)
