"""Losses of metric learning over the vectors of a batch, in plain Keras.

Each takes labels (B, V) int32, -1 for an entry that is missing, and predictions for B rows with V entries each: vectors
(B, V, D) of unit length, or for ArcFace the cosines (B, V, C) to a learned vector of each product.
"""

from typing import Any

import keras
from keras import ops

from retrieval.settings import MetricSettings

_FAR = 1e9
#: Negatives that count for an anchor, the most similar ones.
_NUM_NEGATIVES = 16


class SupervisedContrastive(keras.losses.Loss):
    """Every entry has to tell those of its own product from all others (Khosla et al. 2020, L_out)."""

    def __init__(self, temperature: float):
        super().__init__(name="contrastive")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Mean over the entries that have another one of their product."""
        similarities, same, valid = _pairs(y_true, y_pred)
        logits = similarities / self.temperature - _FAR * (1 - _others(valid))
        log_shares = logits - ops.logsumexp(logits, axis=1, keepdims=True)
        count = ops.sum(same, axis=1)
        each = -ops.sum(ops.where(same > 0, log_shares, 0.0), axis=1) / ops.maximum(count, 1.0)
        has_same = ops.cast(count > 0, each.dtype)
        return ops.sum(each * has_same) / ops.maximum(ops.sum(has_same), 1.0)


class TripletHinge(keras.losses.Loss):
    """An entry's own product has to be nearer than others by a margin (Wang et al. 2014)."""

    def __init__(self, margin: float):
        super().__init__(name="triplet")
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Mean over the triplets that break the margin, of each anchor's most similar negatives."""
        similarities, same, valid = _pairs(y_true, y_pred)
        is_negative = _others(valid) * ops.cast(_flat(y_true)[:, None] != _flat(y_true)[None], similarities.dtype)
        masked = similarities - _FAR * (1 - is_negative)
        negatives = ops.top_k(masked, min(_NUM_NEGATIVES, int(masked.shape[1] or _NUM_NEGATIVES)))[0]
        broken = self.margin + negatives[:, None, :] - similarities[:, :, None]
        hinge = ops.relu(broken) * same[:, :, None]
        count = ops.sum(ops.cast(hinge > 0, hinge.dtype))
        return ops.sum(hinge) / ops.maximum(count, 1.0)


class ArcFace(keras.losses.Loss):
    """Cross-entropy over the products, the angle to the right one widened by a margin (Deng et al. 2019)."""

    def __init__(self, margin: float, scale: float):
        super().__init__(name="arcface")
        self.margin = margin
        self.scale = scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Mean over the entries."""
        labels = _flat(y_true)
        cosines = ops.clip(ops.reshape(y_pred, (-1, y_pred.shape[-1])), -1 + 1e-6, 1 - 1e-6)
        valid = ops.cast(labels >= 0, cosines.dtype)
        right = ops.one_hot(ops.maximum(labels, 0), y_pred.shape[-1], dtype=cosines.dtype)
        logits = self.scale * ops.cos(ops.arccos(cosines) + self.margin * right)
        each = ops.logsumexp(logits, axis=1) - ops.sum(logits * right, axis=1)
        return ops.sum(each * valid) / ops.maximum(ops.sum(valid), 1.0)


@keras.saving.register_keras_serializable(package="aisle")
class ProductCosines(keras.layers.Layer):
    """Cosines of (B, V, D) unit vectors to a learned vector of each of C products: (B, V, C)."""

    def __init__(self, num_products: int, **options: Any):
        super().__init__(**options)
        self.num_products = num_products

    def build(self, input_shape: Any) -> None:
        """Create the vectors."""
        shape = (input_shape[-1], self.num_products)
        self.directions = self.add_weight(shape=shape, initializer="random_normal", name="directions")

    def call(self, vectors: Any) -> Any:
        """Dot products with the directions."""
        return ops.matmul(vectors, ops.normalize(self.directions, axis=0))


def build_loss(settings: MetricSettings) -> keras.losses.Loss:
    """The loss that the settings name."""
    if settings.loss == "contrastive":
        return SupervisedContrastive(settings.temperature)
    if settings.loss == "triplet":
        return TripletHinge(settings.margin)
    return ArcFace(settings.margin, settings.arcface_scale)


def _pairs(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Similarities (N, N) of all entries, 1.0 for others of the same product, and (N,) 1.0 for those that are there."""
    labels = _flat(y_true)
    vectors = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    valid = ops.cast(labels >= 0, vectors.dtype)
    same = ops.cast(labels[:, None] == labels[None], vectors.dtype) * _others(valid)
    return ops.matmul(vectors, ops.transpose(vectors)), same, valid


def _others(valid: Any) -> Any:
    """(N, N) 1.0 for pairs of two different entries that are there."""
    return valid[:, None] * valid[None] * (1 - ops.eye(ops.shape(valid)[0], dtype=valid.dtype))


def _flat(labels: Any) -> Any:
    return ops.cast(ops.reshape(labels, (-1,)), "int32")
