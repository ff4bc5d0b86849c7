"""Temperatures and the precision contract."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import HeadLogits, JointFormula
from model.taxonomy import Taxonomy
from tests.conftest import answered
from training.ensemble.calibration import (
    NEVER,
    depth_thresholds,
    fit_head_temperatures,
    fit_temperature,
    precision_lower_bound,
    precision_threshold,
)

TAXONOMY = Taxonomy(["a>x", "a>y", "b>x", "b>y"])


def honest_logits(count: int, num_classes: int, seed: int, spread: float = 2) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels, drawn from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, (count, num_classes)).astype(np.float32)
    cumulated = softmax(logits).cumsum(axis=1)
    labels = (random.random((count, 1)) > cumulated).sum(axis=1)
    return logits, np.minimum(labels, num_classes - 1).astype(np.int32)


def calibrated(logits: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy, promise: Calibration) -> Calibration:
    formula = JointFormula(temperature=fit_temperature(logits, labels))
    probabilities = softmax(formula.logits(HeadLogits(logits)))
    thresholds, coverages = depth_thresholds(probabilities, labels, taxonomy, promise)
    return replace(promise, formula=formula, thresholds=thresholds, coverages=coverages)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_known_factor(factor: float) -> None:
    logits, labels = honest_logits(20_000, 4, 0)
    assert fit_temperature(logits * np.float32(factor), labels) == pytest.approx(factor, rel=0.04)


def test_extreme_temperatures_stay_in_their_bounds() -> None:
    labels = np.array([0, 1], np.int32)
    right = np.eye(2, dtype=np.float32)
    assert 0.05 <= fit_temperature(right, labels) < 0.1  # nothing is left to gain below
    assert fit_temperature(right[::-1] * 1e4, labels) == pytest.approx(20.0, rel=0.01)


@pytest.mark.parametrize(("hits", "total"), [(0, 5), (1, 1), (3, 4), (98, 100), (100, 100), (970, 1000), (1, 1000)])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_the_lower_bound_is_the_exact_one_sided_one(hits: int, total: int, level: float) -> None:
    expected = binomtest(hits, total, alternative="greater").proportion_ci(1 - level, method="exact").low
    assert precision_lower_bound(hits, total, level) == pytest.approx(expected, abs=1e-12)


def test_a_threshold_by_eye() -> None:
    """1,000 sure and right answers above 1,000 unsure ones of which half are wrong.

    0.98 with confidence 0.95, of whose error 0.05 the walk has two parts of four there: with every second one wrong
    that follows, 11 of 1,022 still pass, 12 of 1,024 no longer. Such confidences promise 0.98 of no more than a few
    rows, so that no error is spent on a start of their own.
    """
    confidences = np.concatenate([np.linspace(0.99, 0.9, 1000), np.linspace(0.5, 0.4, 1000)]).astype(np.float32)
    is_correct = np.concatenate([np.ones(1000, bool), np.arange(1000) % 2 == 0])
    threshold, coverage = precision_threshold(confidences, is_correct, 0.98, 0.95)
    assert 0.5 <= coverage <= 0.511
    assert (confidences >= np.float32(threshold)).mean() == pytest.approx(coverage)
    shuffled = np.random.default_rng(0).permutation(2000)
    assert precision_threshold(confidences[shuffled], is_correct[shuffled], 0.98, 0.95) == (threshold, coverage)


def test_equal_confidences_are_accepted_together() -> None:
    """Were only a part of the ties counted, the right ones among them could stand in front."""
    confidences = np.full(2000, 0.9, np.float32)
    is_correct = np.arange(2000) < 1500
    assert precision_threshold(confidences, is_correct, 0.98, 0.95) == (NEVER, 0.0)
    threshold, coverage = precision_threshold(confidences, is_correct, 0.7, 0.95)
    assert (np.float32(threshold), coverage) == (np.float32(0.9), 1.0)


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (1, False), (148, False), (149, True)])
def test_too_few_rows_promise_nothing(count: int, accepted: bool) -> None:
    """All right: 0.05 ** (1 / n) reaches 0.98 from n = 149 on, and starts that cannot reach it cost nothing."""
    confidences = np.linspace(0.9, 1.0, count).astype(np.float32)
    threshold, coverage = precision_threshold(confidences, np.ones(count, bool), 0.98, 0.95)
    assert (threshold < NEVER) == (coverage == 1.0) == accepted


def test_a_walk_ends_with_its_first_failure() -> None:
    """A bad stretch from 50 % to 60 % of the rows: only the starts beyond it may pass, and they do not.

    400 wrong ones of 4,000 leave 90 %, too few for 98 %. Without the bad stretch all are accepted.
    """
    confidences = np.linspace(1, 0, 4000).astype(np.float32)
    is_correct = np.ones(4000, bool)
    assert precision_threshold(confidences, is_correct, 0.98, 0.95) == (0.0, 1.0)
    is_correct[2000:2400] = False
    _, coverage = precision_threshold(confidences, is_correct, 0.98, 0.95)
    assert 0.5 < coverage < 0.52


@pytest.mark.parametrize(("count", "target", "accepted"), [(300, 0.95, 0.6), (1000, 0.98, 0.7), (2400, 0.99, 0.5)])
def test_few_honest_rows_show_a_promise_where_they_say_it_is_clearest(
    count: int, target: float, accepted: float
) -> None:
    """Of 200 draws; without that start 0.38, 0.62 and 0.33 accept anything."""
    coverages, broken = [], 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        confidences = (1 - 0.6 * random.beta(0.35, 1.4, 40_000)).astype(np.float32)
        is_correct = random.random(count) < confidences[:count]
        threshold, coverage = precision_threshold(confidences[:count], is_correct, target, 0.95)
        coverages.append(coverage)
        broken += threshold < NEVER and confidences[confidences >= threshold].mean() < target
    assert np.mean(np.array(coverages) > 0) > accepted
    assert broken <= 0.05 * 200


def test_the_promise_holds_in_at_least_95_percent_of_the_draws() -> None:
    """300 validation splits over honest confidences: the true precision above the threshold is the mean confidence."""
    target, num_draws = 0.9, 300
    broken = accepted = 0
    for seed in range(num_draws):
        random = np.random.default_rng(seed)
        confidences = (0.5 + 0.5 * random.beta(2, 1, 800)).astype(np.float32)
        is_correct = random.random(800) < confidences
        threshold, _ = precision_threshold(confidences, is_correct, target, 0.95)
        accepted += threshold < NEVER
        # Beta(2, 1) has the density 2x; confidence 0.5 + x / 2 above t has the mean 0.5 + (1 + c + c^2) / (3 + 3c).
        cut = max(0.0, 2 * threshold - 1)
        broken += threshold < NEVER and 0.5 + (1 + cut + cut**2) / (3 + 3 * cut) < target
    assert accepted > 0.9 * num_draws
    assert broken <= 0.05 * num_draws


@pytest.mark.parametrize(("target", "confidence"), [(0.9, 0.95), (0.95, 0.8)])
def test_the_promise_holds_on_unseen_rows_at_every_depth(target: float, confidence: float) -> None:
    """100 validation splits of 1,000 rows from a shop of 10,000, whose model boasts and knows one class badly.

    A split breaks the promise of a depth when the answers accepted there, by the very function that serving uses,
    are right too rarely in the whole shop. That may happen to 1 - confidence of the splits; the count is held
    against what a binomial draw of that share would exceed once in a thousand times.
    """
    num_splits = 100
    logits, labels = honest_logits(10_000, 4, 5, spread=6)
    logits = 2 * logits + np.float32([0, 0, 0, 4])
    promise = Calibration(precision_target=target, precision_confidence=confidence)
    broken, promised = np.zeros(2, int), np.zeros(2, int)
    for seed in range(num_splits):
        rows = np.random.default_rng(seed).choice(len(labels), 1000, replace=False)
        found = calibrated(logits[rows], labels[rows], TAXONOMY, promise)
        joint = found.formula.logits(HeadLogits(logits))
        answers = answered(joint, TAXONOMY, found, top_k=1)
        for depth in (1, 2):
            # Each depth's own promise: whatever would be accepted there if it were the last one.
            level = TAXONOMY.node_probabilities(softmax(joint), depth)
            accepted = level.max(axis=1) >= found.thresholds[depth - 1]
            right = level.argmax(axis=1) == TAXONOMY.leaf_to_node[depth - 1][labels]
            promised[depth - 1] += accepted.any()
            broken[depth - 1] += bool(accepted.any() and right[accepted].mean() < target)
        is_leaf = answers.accepted_depths == 2
        np.testing.assert_array_equal(is_leaf, accepted)  # of the last depth: the leaves that serving accepts
    allowed = int(binom.ppf(0.999, num_splits, 1 - confidence))
    assert promised.min() > 0.9 * num_splits
    assert broken.max() <= allowed


def test_a_head_is_calibrated_on_the_rows_that_have_its_field() -> None:
    logits, labels = honest_logits(4000, 4, 1)
    name = np.zeros_like(logits)
    name[:2000] = 2 * logits[:2000]  # the other rows have no name
    weights = {"name": (np.arange(4000) < 2000).astype(np.float32), "image": np.zeros(4000, np.float32)}
    found = fit_head_temperatures({"name": name, "image": logits}, labels, weights)
    assert found == {"name": pytest.approx(2.0, rel=0.1), "image": 1.0}


def test_every_depth_has_its_threshold() -> None:
    logits, labels = honest_logits(4000, 4, 1)
    found = calibrated(3 * logits, labels, TAXONOMY, Calibration(precision_target=0.9, precision_confidence=0.9))
    assert found.formula.temperature == pytest.approx(3.0, rel=0.1)
    assert len(found.thresholds) == len(found.coverages) == 2
    assert found.coverages[0] > found.coverages[1] > 0.1
    answers = answered(found.formula.logits(HeadLogits(3 * logits)), TAXONOMY, found, top_k=1)
    assert (answers.accepted_depths >= 2).mean() == pytest.approx(found.coverages[1])
    right = answers.top_classes[:, 0] == labels
    assert right[answers.accepted_depths == 2].mean() >= 0.9


def test_one_category_is_calibrated_too() -> None:
    logits, labels = np.ones((500, 1), np.float32), np.zeros(500, np.int32)
    found = calibrated(logits, labels, Taxonomy(["only"]), Calibration())
    assert (found.thresholds, found.coverages) == ((1.0,), (1.0,))
