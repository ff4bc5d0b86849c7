"""Early-learning regularization (Liu et al., NeurIPS 2020): what the network said early holds it back later."""

from collections.abc import Mapping

import keras
import numpy as np

from model.settings import NoiseSettings, TrainingSettings
from training.network.noise.method import Batch, NoiseMethod, joint_logits, train_on_rows
from training.network.optimization import compile_network

#: A category's number in an empty place of a target.
_EMPTY = -1


class EarlyLearning(NoiseMethod):
    """Keeps for every row a moving average of the answers to it, and draws all heads towards it.

    The paper keeps all K probabilities of a row; here its most probable categories stay, 8 bytes each, so that memory
    does not grow with K. The averages are of answers without dropout.

    Args:
        num_rows: of the training catalog.
    """

    def __init__(self, num_rows: int, num_classes: int, settings: NoiseSettings):
        self.settings = settings
        size = (num_rows, min(settings.elr_classes, num_classes))
        self.classes = np.full(size, _EMPTY, np.int32)
        self.averages = np.zeros(size, np.float32)

    def prepare(
        self, model: keras.Model, loss_weights: Mapping[str, float], settings: TrainingSettings, steps: int
    ) -> None:
        """Compile a freshly built model with the early-learning term."""
        compile_network(model, loss_weights, settings, steps, self.settings.elr_weight)

    def begin_epoch(self, model: keras.Model, epoch: int) -> None:
        """Nothing changes between epochs."""

    def step(self, model: keras.Model, rows: np.ndarray, batch: Batch) -> dict[str, float]:
        """Move the targets of the rows to the present answers, then train."""
        logits = joint_logits(model, batch[0])
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        old = self.classes[rows], self.averages[rows]
        classes, averages = moved_targets(*old, probabilities, self.settings.elr_momentum)
        self.classes[rows], self.averages[rows] = classes, averages
        labels = next(iter(batch[1].values()))
        packed = np.concatenate([np.asarray(labels)[:, None], np.maximum(classes, 0), averages], axis=1)
        return train_on_rows(model, batch, np.ones(len(rows), bool), packed.astype(np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """The targets."""
        return {"classes": self.classes, "averages": self.averages}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Undo `arrays`."""
        self.classes, self.averages = arrays["classes"], arrays["averages"]


def moved_targets(
    classes: np.ndarray, averages: np.ndarray, probabilities: np.ndarray, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest averages after t = momentum * t + (1 - momentum) * p, and whose they are, largest first.

    Args:
        classes, averages: (B, k) int32 and float32; class -1 is an empty place.
        probabilities: (B, K) float32.
    """
    num_kept = classes.shape[1]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :num_kept]
    seen = np.take_along_axis(probabilities, np.maximum(classes, 0).astype(np.int64), axis=1)
    old = np.where(classes >= 0, momentum * averages + (1 - momentum) * seen, -1)
    is_known = (best[:, :, None] == classes[:, None, :]).any(axis=2)
    new = np.where(is_known, -1, (1 - momentum) * np.take_along_axis(probabilities, best, axis=1))
    values, names = np.concatenate([old, new], axis=1), np.concatenate([classes, best], axis=1)
    kept = np.argsort(-values, axis=1, kind="stable")[:, :num_kept]
    values, names = np.take_along_axis(values, kept, axis=1), np.take_along_axis(names, kept, axis=1)
    return names.astype(np.int32), values.astype(np.float32)
