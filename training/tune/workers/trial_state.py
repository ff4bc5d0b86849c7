"""The training state of a trial: in memory, and on disk when another trial may continue it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np

from training.network.train_state import Progress, TrainState


class TrialState(TrainState):
    """A training state that is not written to disk after each epoch.

    Args:
        folder: folder of the trial's own for its state after the last epoch.
        key: digest of settings and data.
        last_epoch: the epoch after which the state is stored; None never stores it.
        parent: folder of the trial whose training this one continues, if its state exists.
    """

    def __init__(self, folder: Path, key: str, last_epoch: int | None, parent: Path | None):
        super().__init__(folder, key)
        self._last_epoch = last_epoch
        self._parent = TrainState(parent, key) if parent is not None else None
        self._best_weights: list[np.ndarray] = []

    def exists(self) -> bool:
        """Return True when there is a training to continue."""
        return self._parent is not None and self._parent.exists()

    def save(
        self,
        model: keras.Model,
        progress: Progress,
        best: Sequence[np.ndarray] | None,
        further: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """Keep the best weights in memory, and store the whole state on disk after the last epoch."""
        if best is not None:
            self._best_weights = list(best)
        if progress.epoch == self._last_epoch:
            super().save(model, progress, self._best_weights, further)

    def restore(self, model: keras.Model) -> Progress:
        """Restore the training state of the parent."""
        assert self._parent is not None
        self._parent.restore_best(model)
        self._best_weights = [np.asarray(weight) for weight in model.weights]
        return self._parent.restore(model)

    def restore_best(self, model: keras.Model) -> None:
        """Load the best epoch's weights."""
        for variable, weight in zip(model.weights, self._best_weights, strict=True):
            variable.assign(weight)
