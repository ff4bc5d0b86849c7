"""The seam between training and the methods that go through wrong labels."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from model.settings import TrainingSettings
from training.network.optimization import compile_network

#: (inputs, labels by output, weights by output), as `CatalogBatches` gives them.
Batch = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


class NoiseMethod(ABC):
    """Decides before each step what its rows teach, by what the network answers to them now.

    All decisions are NumPy's, so that they are the same on every backend.
    """

    #: Trainings from the start, one after the other, each of all epochs.
    num_runs = 1

    def prepare(
        self, model: keras.Model, loss_weights: Mapping[str, float], settings: TrainingSettings, steps: int
    ) -> None:
        """Compile a freshly built model."""
        compile_network(model, loss_weights, settings, steps)

    @abstractmethod
    def begin_epoch(self, model: keras.Model, epoch: int) -> None:
        """Note that an epoch begins, counted from 0."""

    @abstractmethod
    def step(self, model: keras.Model, rows: np.ndarray, batch: Batch) -> dict[str, float]:
        """Train on one batch.

        Args:
            rows: (B,) int64, the batch's rows in the training catalog.
        Returns:
            the losses and accuracies of the batch, under Keras' names.
        """

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that a resumed run needs beside the model."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Undo `arrays`."""


def joint_logits(model: keras.Model, inputs: dict[str, Any]) -> np.ndarray:
    """(B, K) float32, what the joint head answers without dropout."""
    return np.asarray(model.predict_on_batch(inputs)["joint_logits"], np.float32)


def train_on_rows(model: keras.Model, batch: Batch, is_learned: np.ndarray, labels: Any) -> dict[str, float]:
    """One step on some rows of a batch; the others have no weight, so that the shapes stay.

    Args:
        is_learned: (B,) bool.
        labels: (B, ...) that every head learns.
    """
    inputs, given, weights = batch
    learned = {output: np.asarray(weight * is_learned, np.float32) for output, weight in weights.items()}
    logs = model.train_on_batch(inputs, dict.fromkeys(given, labels), learned, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(B,) float32 losses of (B, K) logits against (B,) labels."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - own, np.float32)


def smallest(losses: np.ndarray, share: float) -> np.ndarray:
    """(B,) bool, the ceil(B * share) rows of the least loss; of equal ones the first."""
    found = np.zeros(len(losses), bool)
    found[np.argsort(losses, kind="stable")[: int(np.ceil(round(len(losses) * share, 9)))]] = True
    return found
