"""The training loop of metric learning, for a projection and for the layers of a backbone alike."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from model.errors import TrainingError
from retrieval.learning.examples import Examples, ProductBatches
from retrieval.learning.losses import ProductCosines, build_loss
from retrieval.settings import MetricSettings

_PREDICT_ROWS = 1024


@dataclass(frozen=True)
class Schedule:
    """Length and speed of a training.

    Args:
        title: of the progress bar.
        learning_rate: the highest, decays to 0 along a cosine.
    """

    title: str
    num_steps: int
    learning_rate: float


def fit_metric(vectors: keras.Model, examples: Examples, settings: MetricSettings, schedule: Schedule) -> None:
    """Train a network in place so that the entries of a product lie together.

    Args:
        vectors: inputs by kind to (B, V, D) of unit length, V the kinds of `examples`.
    Raises:
        TrainingError: there is nothing to learn from, or the loss is no number.
    """
    _check(examples)
    outputs = vectors.output
    if settings.loss == "arcface":
        outputs = ProductCosines(len(examples.names), name="cosines")(outputs)
    network = keras.Model(vectors.input, outputs, name="metric_learning")
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, schedule.num_steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    network.compile(optimizer, build_loss(settings), jit_compile=False)
    batches = ProductBatches(examples, settings)
    with tqdm(desc=f"{schedule.title} ({settings.loss})", total=schedule.num_steps, unit=" steps") as bar:
        for step in range(schedule.num_steps):
            if settings.near_share and step and step % len(batches) == 0:
                batches.mine(_row_vectors(vectors, examples))
            loss = float(network.train_on_batch(*batches[step]))
            if not np.isfinite(loss):
                raise TrainingError(f"the loss is {loss} after {step} steps; lower the learning rate")
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(1)


def _check(examples: Examples) -> None:
    counts = np.bincount(examples.labels[examples.has_picture], minlength=len(examples.names))
    counts += np.bincount(examples.labels[examples.has_text], minlength=len(examples.names))
    if len(examples.names) < 2 or counts.max(initial=0) < 2:
        raise TrainingError(
            f"expected two or more products with two or more pictures or texts each, found {len(examples.names)}"
            f" products with at most {counts.max(initial=0)}; give group_id, or a category, to more rows"
        )


def _row_vectors(vectors: keras.Model, examples: Examples) -> np.ndarray:
    """(N, D), the sum of each row's entries."""
    parts = []
    for start in range(0, len(examples.labels), _PREDICT_ROWS):
        rows = np.arange(start, min(start + _PREDICT_ROWS, len(examples.labels)))
        found = ops.convert_to_numpy(vectors(examples.inputs(rows), training=False))
        flags = (examples.entry_labels(rows) >= 0)[:, :, None]
        parts.append((found * flags).sum(axis=1))
    return np.concatenate(parts)
