"""The loss of every head."""

from typing import Any

import keras
from keras import ops


class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of integer labels (B,) against logits (B, K) with label smoothing (Szegedy et al. 2016).

    Args:
        label_smoothing: mass spread evenly over all K categories, 0 to 1.
    """

    def __init__(self, label_smoothing: float, name: str = "smoothed_cross_entropy"):
        super().__init__(name=name, reduction="mean_with_sample_weight")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(B,) losses."""
        log_probabilities = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
        own = ops.squeeze(ops.take_along_axis(log_probabilities, labels, axis=-1), axis=-1)
        return -(1 - self.label_smoothing) * own - self.label_smoothing * ops.mean(log_probabilities, axis=-1)
