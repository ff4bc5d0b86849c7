"""The loss of every head, and its accuracy."""

from typing import Any

import keras
from keras import ops

#: Of prediction and target, so that the logarithm stays finite.
_MOST_AGREEMENT = 1 - 1e-4


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


class EarlyLearningLoss(SmoothedCrossEntropy):
    """`SmoothedCrossEntropy` and weight * log(1 - <p, t>), early-learning regularization (Liu et al. 2020).

    The labels of training are (B, 1 + 2k): the label, k categories and their averages t in the target; labels (B,), as
    validation rows have them, are given no such term.

    Args:
        weight: lambda.
    """

    def __init__(self, label_smoothing: float, weight: float, name: str = "early_learning_loss"):
        super().__init__(label_smoothing, name=name)
        self.weight = weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(B,) losses."""
        if not _is_packed(y_true):
            return super().call(y_true, y_pred)
        num_kept = y_true.shape[-1] // 2
        classes = ops.cast(y_true[:, 1 : 1 + num_kept], "int32")
        averages = ops.cast(y_true[:, 1 + num_kept :], "float32")
        probabilities = ops.softmax(ops.cast(y_pred, "float32"), axis=-1)
        agreement = ops.sum(averages * ops.take_along_axis(probabilities, classes, axis=-1), axis=-1)
        penalty = ops.log(1 - ops.clip(agreement, 0.0, _MOST_AGREEMENT))
        return super().call(y_true[:, :1], y_pred) + self.weight * penalty


class LabelAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy by labels as `EarlyLearningLoss` takes them."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch."""
        return super().update_state(y_true[:, :1] if _is_packed(y_true) else y_true, y_pred, sample_weight)


def _is_packed(labels: Any) -> bool:
    return len(labels.shape) == 2 and labels.shape[-1] > 1
