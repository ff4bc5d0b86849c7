"""Calibration measured on rows that it was not fitted on."""

import numpy as np
import pytest

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula
from training.evaluation.cross_fitting import NUM_FOLDS, LogitSample, cross_fitted_calibration

#: Rows that lack no field.
NONE = np.zeros(5000, np.float32)


def honest_logits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels, drawn from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 4)).astype(np.float32)
    labels = (random.random((count, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, 3).astype(np.int32)


def test_a_wrong_temperature_is_told_and_mended() -> None:
    logits, labels = honest_logits(5000, seed=0)
    stored = Calibration(JointFormula(temperature=2.0), precision_target=0.9, precision_confidence=0.9)
    found = cross_fitted_calibration(3 * logits, labels, NONE[:5000], stored)
    assert (found["count"], found["num_folds"], found["stored"]["temperature"]) == (5000, 5, 2.0)
    assert found["stored"]["expected_calibration_error"] > 0.1
    cross_fitted = found["cross_fitted"]
    assert cross_fitted["temperatures"] == pytest.approx([6.0] * 5, rel=0.1)  # three times the stored one
    assert len(set(cross_fitted["temperatures"])) == 5  # each of other rows
    assert cross_fitted["expected_calibration_error"] < 0.02
    assert cross_fitted["leaf_accepted_precision"] >= 0.9
    assert 0.3 < cross_fitted["leaf_accepted_share"] < 1


def test_rows_that_lack_a_field_have_to_reach_their_own_threshold_too() -> None:
    logits, labels = honest_logits(5000, seed=0)
    stored = Calibration(precision_target=0.9, precision_confidence=0.9)
    whole, lacking, never = (
        cross_fitted_calibration(logits, labels, np.full(5000, least, np.float32), stored)["cross_fitted"]
        for least in (0, 0.99, 2)
    )
    assert 0 < lacking["leaf_accepted_share"] < whole["leaf_accepted_share"] - 0.1
    assert lacking["leaf_accepted_precision"] > 0.98
    assert never["leaf_accepted_share"] == 0
    assert lacking["temperatures"] == whole["temperatures"]


def test_no_row_is_measured_with_what_it_was_fitted_on() -> None:
    """Labels without any relation to the logits: only a fit to the very rows could find one."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (40, 8)).astype(np.float32)
    labels = random.integers(0, 8, 40).astype(np.int32)
    found = cross_fitted_calibration(logits, labels, NONE[: len(labels)], Calibration())
    assert found["cross_fitted"]["leaf_accepted_share"] == 0.0
    assert found["cross_fitted"]["leaf_accepted_precision"] is None


def test_fewer_rows_than_folds_have_no_figures() -> None:
    logits, labels = honest_logits(NUM_FOLDS - 1, seed=0)
    assert cross_fitted_calibration(logits, labels, NONE[: len(labels)], Calibration())["cross_fitted"] is None
    logits, labels = honest_logits(NUM_FOLDS, seed=0)
    found = cross_fitted_calibration(logits, labels, NONE[: len(labels)], Calibration())
    assert len(found["cross_fitted"]["temperatures"]) == NUM_FOLDS


def test_a_sample_keeps_all_rows_that_fit() -> None:
    logits, labels = honest_logits(100, seed=0)
    least = np.linspace(0, 1, 100, dtype=np.float32)
    sample = LogitSample(4, max_values=400)
    for start in (0, 30, 60):
        sample.add(logits[start : start + 30], labels[start : start + 30], least[start : start + 30])
    sample.add(logits[90:], labels[90:], least[90:])
    kept, kept_labels, kept_least = sample.rows()
    np.testing.assert_array_equal(kept, logits)
    np.testing.assert_array_equal(kept_labels, labels)
    np.testing.assert_array_equal(kept_least, least)


def test_a_sample_is_bounded_even_and_the_same_for_any_chunks() -> None:
    logits = np.arange(4000, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    samples = []
    for chunk in (7, 1000):
        sample = LogitSample(2, max_values=1000)
        for start in range(0, 4000, chunk):
            rows = logits[start : start + chunk]
            sample.add(rows, rows[:, 0].astype(np.int32), rows[:, 1])
        samples.append(sample.rows())
    (first, first_labels, first_least), (second, _, _) = samples
    assert first.shape == (500, 2)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, 0], first_labels)
    np.testing.assert_array_equal(first[:, 1], first_least)
    assert np.all(np.diff(first_labels) > 0)
    assert abs(first_labels.mean() - 2000) < 200
