"""Trains the projection: an affine map of features into a space where a product's entries lie together."""

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from model.errors import TrainingError
from retrieval.embedding.projection import Projection
from retrieval.learning.examples import Examples, ProductBatches
from retrieval.learning.losses import ProductCosines, build_loss
from retrieval.settings import MetricSettings

_PREDICT_ROWS = 4096


def train_projection(examples: Examples, settings: MetricSettings) -> Projection:
    """Train on examples.

    Raises:
        TrainingError: fewer than two products, none with two entries, or the loss is no number.
    """
    _check(examples)
    keras.utils.set_random_seed(settings.seed)
    scales = {kind: _scale(values) for kind, values in _all_inputs(examples).items()}
    vectors = _build_vectors(examples, settings, scales)
    outputs = vectors.output
    if settings.loss == "arcface":
        outputs = ProductCosines(len(examples.names), name="cosines")(outputs)
    network = keras.Model(vectors.input, outputs, name="metric_learning")
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    network.compile(optimizer, build_loss(settings), jit_compile=False)
    batches = ProductBatches(examples, settings)
    with tqdm(desc=f"Learn the metric ({settings.loss})", total=settings.steps, unit=" steps") as bar:
        for step in range(settings.steps):
            if settings.near_share and step and step % len(batches) == 0:
                batches.mine(_row_vectors(vectors, examples))
            loss = float(network.train_on_batch(*batches[step]))
            if not np.isfinite(loss):
                raise TrainingError(f"the loss is {loss} after {step} steps; lower --learning-rate")
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(1)
    return _folded(vectors, scales, examples.kinds)


def _check(examples: Examples) -> None:
    counts = np.bincount(examples.labels[examples.has_picture], minlength=len(examples.names))
    counts += np.bincount(examples.labels[examples.has_text], minlength=len(examples.names))
    if len(examples.names) < 2 or counts.max(initial=0) < 2:
        raise TrainingError(
            f"expected two or more products with two or more pictures or texts each, found {len(examples.names)}"
            f" products with at most {counts.max(initial=0)}; give group_id, or a category, to more rows"
        )


def _all_inputs(examples: Examples) -> dict[str, np.ndarray]:
    """Features by kind of the rows that have them, (M, F)."""
    found = {}
    if examples.pictures is not None:
        found["image"] = examples.pictures[examples.has_picture].reshape(-1, examples.pictures.shape[-1])
    if examples.texts is not None:
        found["text"] = examples.texts[examples.has_text]
    return found


def _scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature."""
    return values.mean(axis=0), values.std(axis=0) + 1e-6


def _build_vectors(
    examples: Examples, settings: MetricSettings, scales: dict[str, tuple[np.ndarray, np.ndarray]]
) -> keras.Model:
    """Inputs by kind to (B, V, D) unit vectors."""
    inputs, entries = {}, []
    for kind in examples.kinds:
        mean, deviation = scales[kind]
        inputs[kind] = keras.Input((len(mean),), name=kind)
        normalized = keras.layers.Normalization(mean=mean, variance=deviation**2, name=f"{kind}_scale")(inputs[kind])
        kept = keras.layers.Dropout(settings.dropout_rate, seed=settings.seed, name=f"{kind}_dropout")(normalized)
        entries.append(keras.layers.Dense(settings.dim, name=f"{kind}_projection")(kept))
    stacked = _Stack(name="entries")(entries)
    return keras.Model(inputs, keras.layers.UnitNormalization(name="unit_length")(stacked), name="vectors")


class _Stack(keras.layers.Layer):
    """V times (B, D) to (B, V, D)."""

    def call(self, entries: list[keras.KerasTensor]) -> keras.KerasTensor:
        return ops.stack(entries, axis=1)


def _row_vectors(vectors: keras.Model, examples: Examples) -> np.ndarray:
    """(N, D), the mean of each row's entries."""
    parts = []
    for start in range(0, len(examples.labels), _PREDICT_ROWS):
        rows = np.arange(start, min(start + _PREDICT_ROWS, len(examples.labels)))
        found = ops.convert_to_numpy(vectors(examples.inputs(rows), training=False))
        flags = (examples.entry_labels(rows) >= 0)[:, :, None]
        parts.append((found * flags).sum(axis=1))
    return np.concatenate(parts)


def _folded(
    vectors: keras.Model, scales: dict[str, tuple[np.ndarray, np.ndarray]], kinds: tuple[str, ...]
) -> Projection:
    """The network without its dropout is one affine map for each kind."""
    weights, biases = {}, {}
    for kind in kinds:
        kernel, bias = vectors.get_layer(f"{kind}_projection").get_weights()
        mean, deviation = scales[kind]
        weights[kind] = np.asarray(kernel / deviation[:, None], np.float32)
        biases[kind] = np.asarray(bias - (mean / deviation) @ kernel, np.float32)
    return Projection(weights, biases)
