"""Calibration, risk and coverage, and the precision contract."""

import numpy as np
import pytest

from model.taxonomy import Taxonomy
from training.metrics.confidence import (
    coverage_at_precision,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
)
from training.metrics.outcomes import Outcomes


def outcomes_of(confidences: list[float], is_correct: list[bool]) -> Outcomes:
    """Outcomes of two classes whose answer is always class 0."""
    labels = np.where(is_correct, 0, 1).astype(np.int32)
    return Outcomes(labels, np.zeros(len(labels), np.int32), np.array(confidences, np.float32), labels + 1)


def random_outcomes(num_rows: int, seed: int) -> Outcomes:
    rng = np.random.default_rng(seed)
    confidences = rng.choice(np.linspace(0.3, 1.0, 40), num_rows)
    return outcomes_of(confidences.tolist(), (rng.random(num_rows) < confidences).tolist())


def test_bins_by_eye() -> None:
    """Sorted confidences .2 .4 | .6 .8 with hits 0 1 | 1 1: means .3 and .7, accuracies .5 and 1.

    The error is (2 * |.5 - .3| + 2 * |1 - .7|) / 4 = .25.
    """
    outcomes = outcomes_of([0.8, 0.2, 0.6, 0.4], [True, False, True, True])
    bins = reliability_bins(outcomes, num_bins=2)
    assert bins.counts.tolist() == [2, 2]
    assert bins.confidences.tolist() == pytest.approx([0.3, 0.7])
    assert bins.accuracies.tolist() == pytest.approx([0.5, 1.0])
    assert expected_calibration_error(outcomes, num_bins=2) == pytest.approx(0.25)


def test_bins_hold_equal_mass_and_lose_no_row() -> None:
    outcomes = random_outcomes(1003, seed=3)
    bins = reliability_bins(outcomes)
    assert len(bins.counts) == 15
    assert bins.counts.sum() == 1003
    assert np.ptp(bins.counts) <= 1
    assert np.all(np.diff(bins.confidences) >= 0)
    assert bins.counts @ bins.accuracies == pytest.approx(outcomes.is_correct.sum())
    assert bins.counts @ bins.confidences == pytest.approx(outcomes.confidences.sum(dtype=np.float64))


def test_the_order_of_rows_does_not_matter() -> None:
    outcomes = random_outcomes(200, seed=4)
    shuffled = outcomes.select(np.random.default_rng(0).permutation(200))
    assert expected_calibration_error(shuffled) == pytest.approx(expected_calibration_error(outcomes), abs=1e-12)


def test_calibration_error_is_higher_for_overconfident_answers() -> None:
    assert expected_calibration_error(random_outcomes(20_000, seed=5)) < 0.02  # type: ignore[operator]
    assert expected_calibration_error(outcomes_of([1.0] * 20, [True] * 20)) == 0.0
    assert expected_calibration_error(outcomes_of([1.0] * 20, [True] * 5 + [False] * 15)) == pytest.approx(0.75)


def test_fewer_rows_than_bins_give_a_bin_a_row() -> None:
    assert reliability_bins(outcomes_of([0.5, 0.9], [True, False])).counts.tolist() == [1, 1]


def test_risk_coverage_by_eye() -> None:
    """Check confidences .9 right; .8 right and wrong, a tie that counts as one threshold; .5 right."""
    curve = risk_coverage(outcomes_of([0.8, 0.5, 0.9, 0.8], [True, True, True, False]))
    assert curve.thresholds.tolist() == pytest.approx([0.9, 0.8, 0.5])
    assert curve.coverages.tolist() == pytest.approx([0.25, 0.75, 1.0])
    assert curve.precisions.tolist() == pytest.approx([1.0, 2 / 3, 0.75])
    assert coverage_at_precision(curve, 1.0) == 0.25
    assert coverage_at_precision(curve, 0.75) == 1.0
    assert coverage_at_precision(risk_coverage(outcomes_of([0.5], [False])), 0.5) == 0.0


def test_coverage_rises_to_all_and_ends_at_the_accuracy() -> None:
    outcomes = random_outcomes(500, seed=6)
    curve = risk_coverage(outcomes)
    assert np.all(np.diff(curve.coverages) > 0)
    assert np.all(np.diff(curve.thresholds) < 0)
    assert curve.coverages[-1] == 1.0
    assert curve.precisions[-1] == pytest.approx(outcomes.is_correct.mean())
    reached = [coverage_at_precision(curve, precision) for precision in (0.8, 0.9, 0.95, 0.99)]
    assert reached == sorted(reached, reverse=True)  # type: ignore[type-var]


def test_no_rows_give_no_figures() -> None:
    nothing = outcomes_of([], [])
    assert expected_calibration_error(nothing) is None
    assert len(risk_coverage(nothing).coverages) == 0
    assert coverage_at_precision(risk_coverage(nothing), 0.98) is None


TAXONOMY = Taxonomy(["Home>Lamp", "Home>Rug", "Gift card"])
