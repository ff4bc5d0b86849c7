"""Targets of early-learning regularization, and its loss."""

import keras
import numpy as np
import pytest

from training.network.losses import EarlyLearningLoss, LabelAccuracy, SmoothedCrossEntropy
from training.network.noise.elr import moved_targets

PROBABILITIES = np.array([[0.6, 0.3, 0.1, 0.0]], np.float32)


def test_the_first_answer_fills_the_empty_places() -> None:
    classes, averages = moved_targets(
        np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.float32), PROBABILITIES, momentum=0.7
    )
    assert classes.tolist() == [[0, 1]]
    np.testing.assert_allclose(averages, [[0.18, 0.09]], rtol=1e-6)


def test_known_classes_move_and_the_largest_stay() -> None:
    old = np.array([[3, 1]], np.int32), np.array([[0.5, 0.1]], np.float32)
    classes, averages = moved_targets(*old, PROBABILITIES, momentum=0.5)
    assert classes.tolist() == [[0, 3]]  # 1 has 0.2, 3 has 0.25, and 0, new, 0.3
    np.testing.assert_allclose(averages, [[0.3, 0.25]], rtol=1e-6)


def test_with_a_place_for_every_class_it_is_the_paper_s_average() -> None:
    random = np.random.default_rng(0)
    answers = random.dirichlet(np.ones(5), (7, 3)).astype(np.float32)
    classes, averages, whole = np.full((3, 5), -1, np.int32), np.zeros((3, 5), np.float32), np.zeros((3, 5))
    for answer in answers:
        classes, averages = moved_targets(classes, averages, answer, 0.7)
        whole = 0.7 * whole + 0.3 * answer
    found = np.take_along_axis(whole, classes.astype(np.int64), axis=1)
    np.testing.assert_allclose(averages, found, rtol=1e-5)


def packed(labels: list[int], classes: list[list[int]], averages: list[list[float]]) -> np.ndarray:
    return np.concatenate([np.array(labels)[:, None], classes, averages], axis=1).astype(np.float32)


LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))


def test_the_term_by_eye() -> None:
    """Agreements 0.6 * 0.5 + 0.2 * 0.25 = 0.35 and 0; 3 * (log 0.65 + 0) / 2 beside the cross-entropy."""
    labels = packed([1, 1], [[0, 2], [0, 1]], [[0.6, 0.2], [0.0, 0.0]])
    plain = float(SmoothedCrossEntropy(0.1)(np.array([1, 1]), LOGITS))
    assert float(EarlyLearningLoss(0.1, 3.0)(labels, LOGITS)) == pytest.approx(plain + 3 * np.log(0.65) / 2, abs=1e-5)


def test_validation_rows_have_no_such_term() -> None:
    for labels in (np.array([1, 1]), np.array([[1], [1]])):
        found = float(EarlyLearningLoss(0.1, 3.0)(labels, LOGITS))
        assert found == pytest.approx(float(SmoothedCrossEntropy(0.1)(labels, LOGITS)), rel=1e-6)


def test_full_agreement_stays_finite() -> None:
    sure = np.array([[100.0, 0.0, 0.0]], np.float32)
    assert np.isfinite(float(EarlyLearningLoss(0.0, 3.0)(packed([0], [[0]], [[1.0]]), sure)))


def test_the_accuracy_is_that_of_the_labels() -> None:
    accuracy = LabelAccuracy()
    accuracy.update_state(packed([1, 1], [[0], [0]], [[0.5], [0.5]]), keras.ops.convert_to_tensor(LOGITS))
    assert float(accuracy.result()) == 0.5
