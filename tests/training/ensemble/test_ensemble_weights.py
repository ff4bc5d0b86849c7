"""Weights of experts on logits whose best weights are known."""

import numpy as np
import pytest
from scipy.special import log_softmax

from model.network.linear_head import LinearVote
from training.ensemble import ensemble_weights as expert_weights
from training.ensemble.ensemble_weights import (
    Experts,
    ExpertWeights,
    answers_more,
    cross_fitted_logits,
    fit_expert_weights,
)


def experts(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two experts, and labels drawn from the softmax of 0.5 times the first and 2 times the second up to 0.7."""
    random = np.random.default_rng(0)
    first, second = ((random.normal(size=(count, 4)) * scale).astype(np.float32) for scale in (3, 1))
    total = 0.5 * first + 2 * np.minimum(second, 0.7)
    return first, second, (total + random.gumbel(size=total.shape)).argmax(axis=1)


def test_sharpness_counts_before_the_neighbours_vote() -> None:
    network, linear, votes = (np.float32([[number, 0], [0, number]]) for number in (1, 2, 3))
    experts = Experts(network, linear, votes)
    weights = ExpertWeights(0.5, LinearVote(10.0, 0.0, 1.0), 0.0, 7.0)  # its malus is 10 times the score
    np.testing.assert_allclose(weights.logits(experts), [[42, 0], [0, 42]])
    sharpness = np.float32([[0.25], [2]])
    np.testing.assert_allclose(weights.logits(experts, sharpness), [[21 * 0.25 + 21, 0], [0, 21 * 2 + 21]])
    np.testing.assert_allclose(weights.calibrated(experts), [[21, 0], [0, 21]])


def test_known_weights_and_the_cap_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_weights, "_MAX_ROWS", 20_000)
    first, second, labels = experts(20_000)
    found = fit_expert_weights(Experts(first, second), labels)
    assert found.vote is not None
    assert found.network == pytest.approx(0.5, rel=0.05)
    assert found.vote.weight == pytest.approx(4.0, rel=0.1)
    assert found.vote.cap == pytest.approx(0.7, abs=0.3)
    expected = 0.5 * first + 2 * np.minimum(second, 0.7)
    expected -= 2 * 0.7  # a malus
    assert np.abs(found.calibrated(Experts(first, second)) - expected).mean() < 0.1
    without = fit_expert_weights(Experts(first), labels)
    assert without.vote is None
    assert without.loss > found.loss
    np.testing.assert_allclose(without.calibrated(Experts(first)), without.network * first, rtol=1e-6)


def test_caps_are_compared_on_more_rows_than_weights_are_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_weights, "_MAX_ROWS", 100)
    first, second, labels = experts(4000)
    found = fit_expert_weights(Experts(first, second), labels)
    logits = found.calibrated(Experts(first, second))
    expected = -log_softmax(logits, axis=1)[np.arange(4000), labels].mean()
    assert found.loss == pytest.approx(expected, rel=1e-4)
    monkeypatch.setattr(expert_weights, "_MAX_COMPARED", 400)
    assert fit_expert_weights(Experts(first, second), labels).loss != pytest.approx(expected, rel=1e-4)


def test_an_expert_that_knows_nothing_or_the_opposite_has_little_say() -> None:
    first, second, labels = experts(4000)
    noise = np.random.default_rng(1).permutation(second)
    for useless in (noise, -second):
        vote = fit_expert_weights(Experts(first, useless), labels).vote
        assert vote is not None
        assert 0 <= vote.weight < 0.2
    assert fit_expert_weights(Experts(-first, second), labels).network == 0.05  # the network always stays


def test_labels_that_are_always_right_do_not_lead_to_infinity() -> None:
    labels = np.arange(300) % 3
    right = np.eye(3, dtype=np.float32)[labels]
    found = fit_expert_weights(Experts(right, right * 1e3), labels)
    assert np.isfinite(found.calibrated(Experts(right, right))).all()


def test_of_many_rows_some_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, labels = experts(3000)
    monkeypatch.setattr(expert_weights, "_MAX_ROWS", 2000)
    some = fit_expert_weights(Experts(first, second), labels, seed=1)
    assert some == fit_expert_weights(Experts(first, second), labels, seed=1)
    assert some.network == pytest.approx(0.5, rel=0.2)


def test_usual_weights_hold_back_what_few_rows_say_and_not_what_many_say() -> None:
    """Of these rows the first 20 happen to be easy, so that by themselves they would ask for a weight of 3.5."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 3000)
    network = (2 * np.eye(4)[labels] + random.normal(size=(3000, 4))).astype(np.float32)
    noise = 0.3 * random.normal(size=(3000, 4)).astype(np.float32) - 1
    few, many = (fit_expert_weights(Experts(network[:n], noise[:n]), labels[:n]) for n in (20, 3000))
    assert few.network < 2.0
    assert many.network == pytest.approx(2.0, rel=0.1)


def test_no_row_is_calibrated_by_itself() -> None:
    """A changed label changes the answers of the other folds only."""
    first, second, labels = experts(200)
    changed = labels.copy()
    changed[7] = (labels[7] + 1) % 4
    before, after = (cross_fitted_logits(Experts(first, second), given, seed=0) for given in (labels, changed))
    same = (before == after).all(axis=1)
    assert same[7]
    assert same.sum() == 40  # its fold


def test_two_rows_are_enough() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert np.isfinite(cross_fitted_logits(Experts(logits), np.array([0, 1]), seed=0)).all()


def test_neighbors_get_the_weight_they_deserve_and_the_others_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_weights, "_MAX_ROWS", 20_000)
    random = np.random.default_rng(3)
    first, votes = (random.normal(size=(20_000, 4)).astype(np.float32) for _ in range(2))
    labels = (0.5 * first + 1.5 * votes + random.gumbel(size=first.shape)).argmax(axis=1)
    found = fit_expert_weights(Experts(first, None, votes), labels)
    assert found.network == pytest.approx(0.5, rel=0.1)
    assert found.neighbors == pytest.approx(3.0, rel=0.1)
    assert found.vote is None
    without = fit_expert_weights(Experts(first), labels)
    assert without.neighbors == 0.0
    assert found.loss < without.loss
    np.testing.assert_allclose(found.logits(Experts(first, None, votes)), first + found.neighbors * votes, atol=1e-4)
    assert answers_more(Experts(first, None, votes), found, labels)
    assert not answers_more(Experts(first, None, random.permutation(votes)), found, labels)
    assert not answers_more(Experts(first, None, votes), without, labels)  # nothing gained
