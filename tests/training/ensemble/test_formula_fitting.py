"""The joint formula fitted on logits whose best weights are known."""

import numpy as np
import pytest
from scipy.special import log_softmax

from model.prediction.formula import HeadLogits
from training.ensemble.formula_fitting import FitOptions, cross_fitted_logits, fit_formula, group_folds, neighbors_help

MANY = FitOptions(max_rows=20_000)


def two_heads(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two heads, and labels drawn from the softmax of half the first and twice the second up to 0.7."""
    random = np.random.default_rng(0)
    first, second = ((random.normal(size=(count, 4)) * scale).astype(np.float32) for scale in (3, 1))
    total = 0.5 * first + 2 * np.minimum(second, 0.7)
    return first, second, (total + random.gumbel(size=total.shape)).argmax(axis=1)


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def test_known_weights_and_the_cap_are_found() -> None:
    first, second, labels = two_heads(20_000)
    found = fit_formula(HeadLogits(first, second), labels, options=MANY)
    assert found.penalty is not None
    assert 1 / found.temperature == pytest.approx(0.5, rel=0.05)
    assert found.penalty.weight == pytest.approx(4.0, rel=0.1)
    assert found.penalty.cap == pytest.approx(0.7, abs=0.3)
    expected = 0.5 * first + 2 * np.minimum(second, 0.7)
    expected -= 2 * 0.7  # a penalty
    assert np.abs(found.logits(HeadLogits(first, second)) - expected).mean() < 0.1
    without = fit_formula(HeadLogits(first), labels)
    assert without.penalty is None
    assert loss(without.logits(HeadLogits(first)), labels) > loss(found.logits(HeadLogits(first, second)), labels)
    np.testing.assert_allclose(without.logits(HeadLogits(first)), first / without.temperature, rtol=1e-6)


def test_caps_are_compared_on_more_rows_than_weights_are_fitted_on() -> None:
    first, second, labels = two_heads(4000)
    heads = HeadLogits(first, second)
    all_compared, few_compared = (
        fit_formula(heads, labels, options=FitOptions(max_rows=100, max_compared=compared)) for compared in (10**6, 400)
    )
    assert loss(all_compared.logits(heads), labels) < loss(few_compared.logits(heads), labels)


def test_a_head_that_knows_nothing_or_the_opposite_counts_little() -> None:
    first, second, labels = two_heads(4000)
    noise = np.random.default_rng(1).permutation(second)
    for useless in (noise, -second):
        penalty = fit_formula(HeadLogits(first, useless), labels).penalty
        assert penalty is not None
        assert 0 <= penalty.weight < 0.2
    assert fit_formula(HeadLogits(-first, second), labels).temperature >= 20  # the network always stays


def test_labels_that_are_always_right_do_not_lead_to_infinity() -> None:
    labels = np.arange(300) % 3
    right = np.eye(3, dtype=np.float32)[labels]
    found = fit_formula(HeadLogits(right, right * 1e3), labels)
    assert np.isfinite(found.logits(HeadLogits(right, right))).all()


def test_of_many_rows_some_are_enough() -> None:
    first, second, labels = two_heads(3000)
    some, again = (fit_formula(HeadLogits(first, second), labels, 1, FitOptions(max_rows=2000)) for _ in range(2))
    assert some == again
    assert 1 / some.temperature == pytest.approx(0.5, rel=0.2)


def test_no_row_is_calibrated_by_itself() -> None:
    """A changed label changes the answers of the other folds only."""
    first, second, labels = two_heads(200)
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % 4
    folds, same = group_folds(np.arange(len(labels)), seed=0), np.ones((len(labels), 1), np.float32)
    before, after = (cross_fitted_logits(HeadLogits(first, second), given, folds, same) for given in (labels, changed))
    same = (before == after).all(axis=1)
    assert same[7]
    assert same.sum() == 40  # its fold


def test_two_rows_are_enough() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    folds, same = group_folds(np.arange(2), seed=0), np.ones((2, 1), np.float32)
    assert np.isfinite(cross_fitted_logits(HeadLogits(logits), np.array([0, 1]), folds, same)).all()


def test_neighbors_get_the_weight_they_deserve_and_the_others_keep_theirs() -> None:
    random = np.random.default_rng(3)
    first, neighbors = (random.normal(size=(20_000, 4)).astype(np.float32) for _ in range(2))
    labels = (0.5 * first + 1.5 * neighbors + random.gumbel(size=first.shape)).argmax(axis=1)
    heads, alone = HeadLogits(first, None, neighbors), HeadLogits(first)
    found = fit_formula(heads, labels, options=MANY)
    assert 1 / found.temperature == pytest.approx(0.5, rel=0.1)
    assert found.neighbor_weight == pytest.approx(1.5, rel=0.1)
    assert found.penalty is None
    without = fit_formula(alone, labels)
    assert without.neighbor_weight == 0.0
    assert loss(found.logits(heads), labels) < loss(without.logits(alone), labels)
    assert neighbors_help(heads, found, labels)
    assert not neighbors_help(HeadLogits(first, None, random.permutation(neighbors)), found, labels)
    assert not neighbors_help(heads, without, labels)  # nothing gained


def test_near_duplicates_share_a_fold_where_groups_are_enough() -> None:
    groups = np.random.default_rng(0).integers(0, 40, 200)
    folds = group_folds(groups, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    assert np.bincount(folds, minlength=5).min() >= 10
    assert (folds != group_folds(groups, seed=1)).any()
    assert sorted(np.bincount(group_folds(np.zeros(10, int), seed=0))) == [2] * 5  # rows, for one group has no other
