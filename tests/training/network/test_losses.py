"""The loss of every head."""

import keras
import numpy as np
import pytest

from training.network.losses import SmoothedCrossEntropy

LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))


def test_by_eye() -> None:
    """Without smoothing the mean of -log 0.25 and -log 0.8; with 0.3 a tenth more on each category.

    Row 1: 0.7 * -log 0.25 + 0.1 * (-log 0.5 - 2 log 0.25) = 0.97041 + 0.34657.
    Row 2: 0.7 * -log 0.8 + 0.1 * (-log 0.8 - 2 log 0.1) = 0.15620 + 0.48283.
    """
    labels = np.array([1, 1])
    assert float(SmoothedCrossEntropy(0.0)(labels, LOGITS)) == pytest.approx((1.38629 + 0.22314) / 2, abs=1e-5)
    assert float(SmoothedCrossEntropy(0.3)(labels, LOGITS)) == pytest.approx((1.31698 + 0.63903) / 2, abs=1e-5)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.05, 0.5])
def test_equals_keras_on_one_hot_labels(label_smoothing: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 5, (16, 7)).astype(np.float32)
    labels = random.integers(0, 7, 16)
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    expected = float(reference(keras.utils.to_categorical(labels, 7), logits))
    assert float(SmoothedCrossEntropy(label_smoothing)(labels, logits)) == pytest.approx(expected, rel=1e-5)
    column = labels[:, None]  # Keras hands labels over as (B, 1)
    assert float(SmoothedCrossEntropy(label_smoothing)(column, logits)) == pytest.approx(expected, rel=1e-5)


def test_rows_of_weight_zero_teach_nothing() -> None:
    loss = SmoothedCrossEntropy(0.1)
    alone = float(loss(np.array([1]), LOGITS[1:]))
    assert float(loss(np.array([1, 1]), LOGITS, sample_weight=np.array([0.0, 1.0]))) == pytest.approx(alone, rel=1e-6)
    assert float(loss(np.array([1, 1]), LOGITS, sample_weight=np.zeros(2))) == 0.0


def test_far_logits_and_half_precision_stay_finite() -> None:
    far = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert float(SmoothedCrossEntropy(0.0)(np.array([0]), far)) == 0.0
    assert float(SmoothedCrossEntropy(0.0)(np.array([1]), far)) == pytest.approx(2e4)
    half = keras.ops.cast(LOGITS, "bfloat16")
    found = SmoothedCrossEntropy(0.0)(np.array([1, 1]), half)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert float(found) == pytest.approx(0.8047, rel=0.01)
