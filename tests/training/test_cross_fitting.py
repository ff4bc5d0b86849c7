"""Calibration measured on rows that it was not fitted on."""

import numpy as np
import pytest

from model.answer import Calibration, softmax
from training.cross_fitting import NUM_FOLDS, LogitSample, cross_fitted_calibration


def honest_logits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels, drawn from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 4)).astype(np.float32)
    labels = (random.random((count, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, 3).astype(np.int32)


def test_a_wrong_temperature_is_told_and_mended() -> None:
    logits, labels = honest_logits(5000, seed=0)
    stored = Calibration(temperature=1.0, precision_target=0.9, precision_confidence=0.9)
    found = cross_fitted_calibration(3 * logits, labels, stored)
    assert (found["count"], found["num_folds"], found["stored"]["temperature"]) == (5000, 5, 1.0)
    assert found["stored"]["expected_calibration_error"] > 0.1
    cross_fitted = found["cross_fitted"]
    assert cross_fitted["temperatures"] == pytest.approx([3.0] * 5, rel=0.1)
    assert len(set(cross_fitted["temperatures"])) == 5  # each of other rows
    assert cross_fitted["expected_calibration_error"] < 0.02
    assert cross_fitted["leaf_accepted_precision"] >= 0.9
    assert 0.3 < cross_fitted["leaf_accepted_share"] < 1


def test_no_row_is_measured_with_what_it_was_fitted_on() -> None:
    """Labels without any relation to the logits: only a fit to the very rows could find one."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (40, 8)).astype(np.float32)
    labels = random.integers(0, 8, 40).astype(np.int32)
    found = cross_fitted_calibration(logits, labels, Calibration())
    assert found["cross_fitted"]["leaf_accepted_share"] == 0.0
    assert found["cross_fitted"]["leaf_accepted_precision"] is None


def test_fewer_rows_than_folds_have_no_figures() -> None:
    logits, labels = honest_logits(NUM_FOLDS - 1, seed=0)
    assert cross_fitted_calibration(logits, labels, Calibration())["cross_fitted"] is None
    logits, labels = honest_logits(NUM_FOLDS, seed=0)
    assert len(cross_fitted_calibration(logits, labels, Calibration())["cross_fitted"]["temperatures"]) == NUM_FOLDS


def test_a_sample_keeps_all_rows_that_fit() -> None:
    logits, labels = honest_logits(100, seed=0)
    sample = LogitSample(4, max_values=400)
    for start in (0, 30, 60):
        sample.add(logits[start : start + 30], labels[start : start + 30])
    sample.add(logits[90:], labels[90:])
    kept, kept_labels = sample.rows()
    np.testing.assert_array_equal(kept, logits)
    np.testing.assert_array_equal(kept_labels, labels)


def test_a_sample_is_bounded_even_and_the_same_for_any_chunks() -> None:
    logits = np.arange(4000, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    samples = []
    for chunk in (7, 1000):
        sample = LogitSample(2, max_values=1000)
        for start in range(0, 4000, chunk):
            rows = logits[start : start + chunk]
            sample.add(rows, rows[:, 0].astype(np.int32))
        samples.append(sample.rows())
    (first, first_labels), (second, _) = samples
    assert first.shape == (500, 2)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, 0], first_labels)
    assert np.all(np.diff(first_labels) > 0)
    assert abs(first_labels.mean() - 2000) < 200
