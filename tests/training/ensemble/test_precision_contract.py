"""The thresholds of the precision contract: what is handed out is right as often as promised."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from model.prediction.answers import softmax
from model.prediction.calibration import NEVER, Calibration
from model.prediction.formula import HeadLogits, JointFormula
from model.taxonomy import Taxonomy
from tests.conftest import answered
from tests.training.conftest import honest_logits
from training.ensemble.calibration import fit_temperature
from training.ensemble.precision_contract import (
    DepthOutcomes,
    can_be_shown,
    cross_fitted_thresholds,
    fit_thresholds,
    precision_lower_bound,
    precision_threshold,
    rows_to_show,
)
from training.metrics.contract import accepted_flags

TAXONOMY = Taxonomy(["a>x", "a>y", "b>x", "b>y"])


def calibrated(logits: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy, promise: Calibration) -> Calibration:
    formula = JointFormula(temperature=fit_temperature(logits, labels))
    outcomes = DepthOutcomes.of(softmax(formula.logits(HeadLogits(logits))), labels, taxonomy)
    return replace(promise, formula=formula, thresholds=fit_thresholds(outcomes, promise))


@pytest.mark.parametrize(("hits", "total"), [(0, 5), (1, 1), (3, 4), (98, 100), (100, 100), (970, 1000), (1, 1000)])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_the_lower_bound_is_the_exact_one_sided_one(hits: int, total: int, level: float) -> None:
    expected = binomtest(hits, total, alternative="greater").proportion_ci(1 - level, method="exact").low
    assert precision_lower_bound(hits, total, level) == pytest.approx(expected, abs=1e-12)


def test_a_threshold_by_eye() -> None:
    """1,000 sure and right answers above 1,000 unsure ones of which half are wrong.

    0.98 with confidence 0.95: by these confidences the 150 best rows promise it most clearly, of those that suffice to
    show it; their walk has all of the error. In steps of 5 rows, every second one wrong that follows the right ones,
    12 errors of 1,025 still pass, 15 of 1,030 no longer.
    """
    confidences = np.concatenate([np.linspace(0.99, 0.9, 1000), np.linspace(0.5, 0.4, 1000)]).astype(np.float32)
    is_correct = np.concatenate([np.ones(1000, bool), np.arange(1000) % 2 == 0])
    threshold = precision_threshold(confidences, is_correct, 0.98, 0.95)
    assert (confidences >= np.float32(threshold)).sum() == 1025
    shuffled = np.random.default_rng(0).permutation(2000)
    assert precision_threshold(confidences[shuffled], is_correct[shuffled], 0.98, 0.95) == threshold


def test_equal_confidences_are_accepted_together() -> None:
    """Were only a part of the ties counted, the right ones among them could stand in front."""
    confidences = np.full(2000, 0.9, np.float32)
    is_correct = np.arange(2000) < 1500
    assert precision_threshold(confidences, is_correct, 0.98, 0.95) == NEVER
    assert np.float32(precision_threshold(confidences, is_correct, 0.7, 0.95)) == np.float32(0.9)


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (1, False), (148, False), (149, True)])
def test_too_few_rows_promise_nothing(count: int, accepted: bool) -> None:
    """All right: 0.05 ** (1 / n) reaches 0.98 from n = 149 on, and starts that cannot reach it cost nothing."""
    confidences = np.linspace(0.9, 1.0, count).astype(np.float32)
    threshold = precision_threshold(confidences, np.ones(count, bool), 0.98, 0.95)
    assert (threshold < NEVER) == accepted
    if accepted:
        assert np.float32(threshold) == confidences.min()
    assert (rows_to_show(0.98, 0.95) <= count) == can_be_shown(count, Calibration()) == accepted


def test_a_walk_ends_with_its_first_failure() -> None:
    """A bad stretch from 50 % to 60 % of the rows: only the starts beyond it may pass, and they do not.

    400 wrong ones of 4,000 leave 90 %, too few for 98 %. Without the bad stretch all are accepted.
    """
    confidences = np.linspace(1, 0, 4000).astype(np.float32)
    is_correct = np.ones(4000, bool)
    assert precision_threshold(confidences, is_correct, 0.98, 0.95) == 0.0
    is_correct[2000:2400] = False
    threshold = precision_threshold(confidences, is_correct, 0.98, 0.95)
    assert 0.5 < (confidences >= np.float32(threshold)).mean() < 0.52


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
        threshold = precision_threshold(confidences[:count], is_correct, target, 0.95)
        coverages.append((confidences[:count] >= np.float32(threshold)).mean())
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
        threshold = precision_threshold(confidences, is_correct, target, 0.95)
        accepted += threshold < NEVER
        # Beta(2, 1) has the density 2x; confidence 0.5 + x / 2 above t has the mean 0.5 + (1 + c + c^2) / (3 + 3c).
        cut = max(0.0, 2 * threshold - 1)
        broken += threshold < NEVER and 0.5 + (1 + cut + cut**2) / (3 + 3 * cut) < target
    assert accepted > 0.9 * num_draws
    assert broken <= 0.05 * num_draws


@pytest.mark.parametrize(("target", "confidence"), [(0.9, 0.95), (0.95, 0.8)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_promise_holds_for_what_is_handed_out(target: float, confidence: float, weighted: bool) -> None:
    """100 samples of 1,000 rows from a shop of 10,000, whose model boasts and knows one class badly.

    A sample breaks the promise when the answers that are handed out, by the very function that serving uses, are right
    too rarely in the whole shop: all of them, or those that stop at a depth. That may happen to 1 - confidence of the
    samples; the count is held against what a binomial draw of that share would exceed once in a thousand times. With
    weights half of the rows stand there twice, as near-duplicates do.
    """
    num_samples = 100
    logits, labels = honest_logits(10_000, 4, 5, spread=6)
    logits = 2 * logits + np.float32([0, 0, 0, 4])
    promise = Calibration(precision_target=target, precision_confidence=confidence)
    broken, promised = np.zeros(3, int), np.zeros(3, int)
    for seed in range(num_samples):
        rows = np.random.default_rng(seed).choice(len(labels), 1000, replace=False)
        weights = np.ones(1000)
        if weighted:
            rows = np.concatenate([rows, rows[:500]])
            weights = np.concatenate([np.full(500, 0.5), np.ones(500), np.full(500, 0.5)])
        formula = JointFormula(temperature=fit_temperature(logits[rows], labels[rows]))
        outcomes = DepthOutcomes.of(softmax(logits[rows], formula.temperature), labels[rows], TAXONOMY, weights)
        found = replace(promise, formula=formula, thresholds=fit_thresholds(outcomes, promise))
        answers = answered(formula.logits(HeadLogits(logits)), TAXONOMY, found, top_k=1)
        _, is_right = accepted_flags(labels, answers, TAXONOMY)
        for place, accepted in enumerate(
            [answers.accepted_depths > 0, answers.accepted_depths == 1, answers.accepted_depths == 2]
        ):
            promised[place] += accepted.any()
            broken[place] += bool(accepted.any() and is_right[accepted].mean() < target)
    allowed = int(binom.ppf(0.999, num_samples, 1 - confidence))
    assert promised[0] > 0.9 * num_samples
    assert broken.max() <= allowed, broken


def test_thresholds_over_all_products_would_break_it() -> None:
    """The rows that fail at the leaf are left for the parent: a threshold fitted on all rows is too low there."""
    logits, labels = honest_logits(20_000, 4, 5, spread=1.5)
    promise = Calibration(precision_target=0.8)
    outcomes = DepthOutcomes.of(softmax(logits), labels, TAXONOMY)
    over_all = tuple(
        precision_threshold(outcomes.confidences[:, level], outcomes.is_right[:, level], 0.8, 0.95) for level in (0, 1)
    )
    handed_out = fit_thresholds(outcomes, promise)
    assert handed_out[1] == over_all[1]
    for thresholds, kept in ((over_all, False), (handed_out, True)):
        depths = outcomes.accepted_depths(np.array(thresholds, np.float32))
        at_parent = depths == 1
        assert at_parent.sum() > 100
        assert (outcomes.is_right[at_parent, 0].mean() >= 0.8) == kept


def test_floors_take_rows_out_of_a_depth_and_leave_them_to_the_one_above() -> None:
    logits, labels = honest_logits(4000, 4, 1, spread=4)
    outcomes = DepthOutcomes.of(softmax(logits), labels, TAXONOMY)
    promise = Calibration(precision_target=0.9)
    floors = np.zeros((4000, 2), np.float32)
    floors[:2000, 1] = NEVER  # half of the rows may not be accepted at a leaf
    thresholds = np.array(fit_thresholds(outcomes, promise, floors), np.float32)
    depths = outcomes.accepted_depths(np.maximum(thresholds, floors))
    assert not (depths[:2000] == 2).any()
    assert (depths[2000:] == 2).mean() > 0.3
    assert (depths[:2000] == 1).mean() > (depths[2000:] == 1).mean() + 0.2
    for depth in (1, 2):
        assert outcomes.is_right[depths == depth, depth - 1].mean() >= 0.9


def test_no_row_has_a_threshold_from_itself() -> None:
    logits, labels = honest_logits(500, 4, 1, spread=4)
    promise, folds = Calibration(precision_target=0.8), np.arange(500) % 5
    floors = np.zeros((500, 2), np.float32)
    changed = labels.copy()
    changed[folds == 3] = (labels[folds == 3] + 1) % 4
    before, after = (
        cross_fitted_thresholds(DepthOutcomes.of(softmax(logits), given, TAXONOMY), promise, folds, floors)
        for given in (labels, changed)
    )
    np.testing.assert_array_equal(before[folds == 3], after[folds == 3])
    assert (before[folds != 3] != after[folds != 3]).any()


def test_near_duplicates_show_no_more_than_one_of_them() -> None:
    """149 right rows show 98 %; 148 do not, were they there ten times each."""
    for count, accepted in ((148, False), (149, True)):
        confidences = np.repeat(np.linspace(0.9, 1, count), 10).astype(np.float32)
        threshold = precision_threshold(confidences, np.ones(10 * count, bool), 0.98, 0.95, np.full(10 * count, 0.1))
        assert (threshold < NEVER) == accepted


def test_nodes_that_nobody_proved_are_never_accepted() -> None:
    logits, labels = honest_logits(400, 4, 1, spread=9)
    outcomes = DepthOutcomes.of(softmax(logits), labels, TAXONOMY, unproven=("a>y",))
    best = logits.argmax(axis=1)
    assert (outcomes.confidences[best == 1] == -1).all()  # the leaf, and its parent beside a proven one
    assert (outcomes.confidences[best >= 2] > 0).all()
    assert (outcomes.confidences[best == 0, 1] > 0).all()


def test_every_depth_has_its_threshold() -> None:
    logits, labels = honest_logits(4000, 4, 1)
    found = calibrated(3 * logits, labels, TAXONOMY, Calibration(precision_target=0.9, precision_confidence=0.9))
    assert found.formula.temperature == pytest.approx(3.0, rel=0.1)
    answers = answered(found.formula.logits(HeadLogits(3 * logits)), TAXONOMY, found, top_k=1)
    assert (answers.accepted_depths == 2).mean() > 0.1
    right = answers.top_classes[:, 0] == labels
    assert right[answers.accepted_depths == 2].mean() >= 0.9


def test_one_category_is_calibrated_too() -> None:
    logits, labels = np.ones((500, 1), np.float32), np.zeros(500, np.int32)
    found = calibrated(logits, labels, Taxonomy(["only"]), Calibration())
    assert found.thresholds == (1.0,)
