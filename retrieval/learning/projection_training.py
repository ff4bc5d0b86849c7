"""Trains the projection: an affine map of features into a space where a product's entries lie together."""

from typing import Any

import keras
import numpy as np
from keras import ops

from retrieval.embedding.projection import Projection
from retrieval.learning.examples import Examples
from retrieval.learning.metric_fitting import Schedule, fit_metric
from retrieval.settings import MetricSettings

#: Mean and standard deviation of each feature, by kind.
_Scales = dict[str, tuple[np.ndarray, np.ndarray]]


def train_projection(examples: Examples, settings: MetricSettings) -> Projection:
    """Train on examples.

    Raises:
        TrainingError: fewer than two products, none with two entries, or the loss is no number.
    """
    keras.utils.set_random_seed(settings.seed)
    scales: _Scales = {}
    if examples.pictures is not None:
        pictures = examples.pictures[examples.has_picture]
        scales["image"] = _scale(pictures.reshape(-1, pictures.shape[-1]))
    if examples.texts is not None:
        scales["text"] = _scale(examples.texts[examples.has_text])
    vectors = _build_vectors(examples.kinds, settings, scales)
    fit_metric(vectors, examples, settings, Schedule("Learn the metric", settings.steps, settings.learning_rate))
    return _folded(vectors, scales)


@keras.saving.register_keras_serializable(package="aisle")
class StackedEntries(keras.layers.Layer):
    """V times (B, D) to (B, V, D)."""

    def call(self, entries: list[Any]) -> Any:
        """Put the entries of a row beside each other."""
        return ops.stack(entries, axis=1)


def _scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0, dtype=np.float32), values.std(axis=0, dtype=np.float32) + np.float32(1e-6)


def _build_vectors(kinds: tuple[str, ...], settings: MetricSettings, scales: _Scales) -> keras.Model:
    """Inputs by kind to (B, V, D) unit vectors."""
    inputs, entries = {}, []
    for kind in kinds:
        mean, deviation = scales[kind]
        inputs[kind] = keras.Input((len(mean),), name=kind)
        normalized = keras.layers.Normalization(mean=mean, variance=deviation**2, name=f"{kind}_scale")(inputs[kind])
        kept = keras.layers.Dropout(settings.dropout_rate, seed=settings.seed, name=f"{kind}_dropout")(normalized)
        entries.append(keras.layers.Dense(settings.dim, name=f"{kind}_projection")(kept))
    stacked = StackedEntries(name="entries")(entries)
    return keras.Model(inputs, keras.layers.UnitNormalization(name="unit_length")(stacked), name="vectors")


def _folded(vectors: keras.Model, scales: _Scales) -> Projection:
    """The network without its dropout is one affine map for each kind."""
    weights, biases = {}, {}
    for kind, (mean, deviation) in scales.items():
        kernel, bias = vectors.get_layer(f"{kind}_projection").get_weights()
        weights[kind] = np.asarray(kernel / deviation[:, None], np.float32)
        biases[kind] = np.asarray(bias - (mean / deviation) @ kernel, np.float32)
    return Projection(weights, biases)
