"""Folds of whole groups, spread over categories."""

import numpy as np
import pytest

from training.ensemble.calibration_rows import row_weights
from training.splitting.folds import assign_folds, held_out_rows


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_groups_and_spread_categories(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 200, 500)
    category_of_group = random.choice(["a", "b", "c"], 200, p=[0.7, 0.25, 0.05])
    labels = category_of_group[groups].tolist()
    folds = assign_folds(groups, labels, 5, seed)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    counts = np.bincount(folds, minlength=5)
    assert counts.max() - counts.min() <= 12
    for category in ("a", "b"):
        of_category = np.bincount(folds[np.array(labels) == category], minlength=5)
        assert of_category.max() - of_category.min() <= np.bincount(groups).max()


def test_a_seed_gives_the_same_folds_and_another_others() -> None:
    groups, labels = np.arange(100), ["a"] * 100
    first, again, other = (assign_folds(groups, labels, 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_category_is_held_out_altogether() -> None:
    groups = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    labels = ["rare", "rare", *["a"] * 8]
    held_out = held_out_rows(groups, labels, 0.5, seed=0)
    assert not held_out[:2].any()  # one group is all of it
    assert 2 <= held_out.sum() <= 5


def test_rows_of_a_group_count_one_together() -> None:
    assert row_weights(np.array([3, 9, 3, 3, 5])).tolist() == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3, 1])
