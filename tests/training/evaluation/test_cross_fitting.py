"""Cross-fitted calibration."""

import numpy as np
import pytest

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula
from model.taxonomy import Taxonomy
from training.evaluation.cross_fitting import MIN_ROWS, LogitSample, SampledRows, cross_fitted_calibration
from training.metrics.contract import share_interval

TREE = Taxonomy(["a>x", "a>y", "b>x", "b>y"])


def rows_of(
    logits: np.ndarray, labels: np.ndarray, floor: float = 0.0, groups: np.ndarray | None = None, depth: int = 2
) -> SampledRows:
    """Rows with the same floor everywhere and no prior; without groups, no near-duplicates."""
    floors = np.full((len(labels), depth), floor, np.float32)
    numbers = np.arange(len(labels))
    groups = numbers if groups is None else groups
    return SampledRows(logits, np.zeros((len(labels), 1), np.float32), labels, floors, groups, numbers)


def calibrated_logits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits whose softmax is the true distribution of the labels, and the labels from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 4)).astype(np.float32)
    labels = (random.random((count, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, 3).astype(np.int32)


def test_a_wrong_temperature_is_measured_and_corrected() -> None:
    logits, labels = calibrated_logits(5000, seed=0)
    stored = Calibration(JointFormula(temperature=2.0), precision_target=0.9, precision_confidence=0.9)
    found = cross_fitted_calibration(rows_of(3 * logits, labels), stored, TREE)
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
        cross_fitted_calibration(rows_of(logits, labels, threshold), stored, TREE)["cross_fitted"]
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
    found = cross_fitted_calibration(rows_of(logits, labels, depth=1), Calibration(), tree)
    assert found["cross_fitted"]["leaf_accepted_share"] == 0.0
    assert found["cross_fitted"]["leaf_accepted_precision"] is None


def test_fewer_rows_than_folds_have_no_figures() -> None:
    logits, labels = calibrated_logits(MIN_ROWS - 1, seed=0)
    assert cross_fitted_calibration(rows_of(logits, labels), Calibration(), TREE)["cross_fitted"] is None
    logits, labels = calibrated_logits(MIN_ROWS, seed=0)
    found = cross_fitted_calibration(rows_of(logits, labels), Calibration(), TREE)
    assert len(found["cross_fitted"]["temperatures"]) == MIN_ROWS


def test_a_small_stream_is_sampled_completely() -> None:
    logits, labels = calibrated_logits(100, seed=0)
    floors = np.linspace(0, 1, 200, dtype=np.float32).reshape(100, 2)
    masses = floors[:, :1] / 2
    sample = LogitSample(4, 2, max_values=400)
    for start in (0, 30, 60, 90):
        part = slice(start, start + 30)
        sample.add(logits[part], masses[part], labels[part], floors[part])
    kept = sample.rows(np.arange(100) // 2)
    np.testing.assert_array_equal(kept.logits, logits)
    np.testing.assert_array_equal(kept.prior_masses, masses)
    np.testing.assert_array_equal(kept.labels, labels)
    np.testing.assert_array_equal(kept.floors, floors)
    np.testing.assert_array_equal(kept.numbers, np.arange(100))
    np.testing.assert_array_equal(kept.groups, np.arange(100) // 2)
    assert set(kept.weights) == {0.5}


def test_a_sample_is_bounded_uniform_and_independent_of_chunks() -> None:
    logits = np.arange(4000, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    samples = []
    for chunk in (7, 1000):
        sample = LogitSample(2, 2, max_values=1000)
        for start in range(0, 4000, chunk):
            rows = logits[start : start + chunk]
            sample.add(rows, rows[:, :1], rows[:, 0].astype(np.int32), rows)
        samples.append(sample.rows(np.arange(4000)))
    first, second = samples
    assert first.logits.shape == (500, 2)
    np.testing.assert_array_equal(first.logits, second.logits)
    for own in (first.prior_masses[:, 0], first.labels, first.floors[:, 0], first.numbers, first.groups):
        np.testing.assert_array_equal(first.logits[:, 0], own)
    assert np.all(np.diff(first.numbers) > 0)
    assert abs(first.labels.mean() - 2000) < 200


def test_near_duplicates_are_not_measured_with_a_fit_to_each_other() -> None:
    """Each row comes ten times and every label is chance; rows of a fold that knew their copies would keep a promise.

    The intervals count a group once.
    """
    random = np.random.default_rng(1)
    logits = np.repeat(random.normal(0, 1, (60, 4)).astype(np.float32), 10, axis=0)
    labels = np.repeat(random.integers(0, 4, 60).astype(np.int32), 10)
    stored = Calibration(precision_target=0.5, precision_confidence=0.9)
    groups = np.arange(600) // 10
    found = cross_fitted_calibration(rows_of(logits, labels, groups=groups), stored, TREE)["cross_fitted"]
    torn = cross_fitted_calibration(rows_of(logits, labels), stored, TREE)["cross_fitted"]
    assert found["num_accepted"] < torn["num_accepted"]
    calm, labels = calibrated_logits(500, seed=0)
    stored = Calibration(precision_target=0.8, precision_confidence=0.9)
    calm, labels, groups = np.repeat(calm, 4, axis=0), np.repeat(labels, 4), np.arange(2000) // 4
    wide = cross_fitted_calibration(rows_of(calm, labels, groups=groups), stored, TREE)["cross_fitted"]
    low, high = wide["precision_interval"]
    assert low < wide["accepted_precision"] < high
    assert (low, high) == pytest.approx(
        share_interval(wide["accepted_precision"] * wide["num_accepted"] / 4, wide["num_accepted"] / 4)
    )
