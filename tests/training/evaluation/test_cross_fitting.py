"""Cross-fitted calibration."""

import numpy as np
import pytest

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula
from model.taxonomy import Taxonomy
from training.evaluation.cross_fitting import NUM_FOLDS, LogitSample, cross_fitted_calibration

TREE = Taxonomy(["a>x", "a>y", "b>x", "b>y"])
#: Floors of rows that lack no field.
NONE = np.zeros((5000, 2), np.float32)


def calibrated_logits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits whose softmax is the true distribution of the labels, and the labels from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 4)).astype(np.float32)
    labels = (random.random((count, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, 3).astype(np.int32)


def test_a_wrong_temperature_is_measured_and_corrected() -> None:
    logits, labels = calibrated_logits(5000, seed=0)
    stored = Calibration(JointFormula(temperature=2.0), precision_target=0.9, precision_confidence=0.9)
    found = cross_fitted_calibration(3 * logits, labels, NONE, stored, TREE)
    assert (found["count"], found["num_folds"], found["stored"]["temperature"]) == (5000, 5, 2.0)
    assert found["stored"]["expected_calibration_error"] > 0.1
    cross_fitted = found["cross_fitted"]
    assert cross_fitted["temperatures"] == pytest.approx([6.0] * 5, rel=0.1)  # three times the stored one
    assert len(set(cross_fitted["temperatures"])) == 5  # each fitted on other rows
    assert cross_fitted["expected_calibration_error"] < 0.02
    assert cross_fitted["leaf_accepted_precision"] >= 0.9
    assert 0.3 < cross_fitted["leaf_accepted_share"] < 1


def test_rows_that_lack_a_field_have_a_threshold_of_their_own_too() -> None:
    logits, labels = calibrated_logits(5000, seed=0)
    stored = Calibration(precision_target=0.9, precision_confidence=0.9)
    whole, lacking, never = (
        cross_fitted_calibration(logits, labels, np.full((5000, 2), threshold, np.float32), stored, TREE)[
            "cross_fitted"
        ]
        for threshold in (0, 0.99, 2)
    )
    assert 0 < lacking["leaf_accepted_share"] < whole["leaf_accepted_share"] - 0.1
    assert lacking["leaf_accepted_precision"] > 0.98
    assert never["leaf_accepted_share"] == 0
    assert lacking["temperatures"] == whole["temperatures"]


def test_no_row_is_measured_with_a_fit_to_itself() -> None:
    """Check labels that are independent of the logits, which only a fit to the same rows could predict."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (40, 8)).astype(np.float32)
    labels = random.integers(0, 8, 40).astype(np.int32)
    tree = Taxonomy([str(leaf) for leaf in range(8)])
    found = cross_fitted_calibration(logits, labels, NONE[: len(labels), :1], Calibration(), tree)
    assert found["cross_fitted"]["leaf_accepted_share"] == 0.0
    assert found["cross_fitted"]["leaf_accepted_precision"] is None


def test_fewer_rows_than_folds_have_no_figures() -> None:
    logits, labels = calibrated_logits(NUM_FOLDS - 1, seed=0)
    assert cross_fitted_calibration(logits, labels, NONE[: len(labels)], Calibration(), TREE)["cross_fitted"] is None
    logits, labels = calibrated_logits(NUM_FOLDS, seed=0)
    found = cross_fitted_calibration(logits, labels, NONE[: len(labels)], Calibration(), TREE)
    assert len(found["cross_fitted"]["temperatures"]) == NUM_FOLDS


def test_a_small_stream_is_sampled_completely() -> None:
    logits, labels = calibrated_logits(100, seed=0)
    floors = np.linspace(0, 1, 200, dtype=np.float32).reshape(100, 2)
    sample = LogitSample(4, 2, max_values=400)
    for start in (0, 30, 60):
        sample.add(logits[start : start + 30], labels[start : start + 30], floors[start : start + 30])
    sample.add(logits[90:], labels[90:], floors[90:])
    kept, kept_labels, kept_floors = sample.rows()
    np.testing.assert_array_equal(kept, logits)
    np.testing.assert_array_equal(kept_labels, labels)
    np.testing.assert_array_equal(kept_floors, floors)


def test_a_sample_is_bounded_uniform_and_independent_of_chunks() -> None:
    logits = np.arange(4000, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    samples = []
    for chunk in (7, 1000):
        sample = LogitSample(2, 2, max_values=1000)
        for start in range(0, 4000, chunk):
            rows = logits[start : start + chunk]
            sample.add(rows, rows[:, 0].astype(np.int32), rows)
        samples.append(sample.rows())
    (first, first_labels, first_floors), (second, _, _) = samples
    assert first.shape == (500, 2)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, 0], first_labels)
    np.testing.assert_array_equal(first, first_floors)
    assert np.all(np.diff(first_labels) > 0)
    assert abs(first_labels.mean() - 2000) < 200
