"""Co-teaching (Han et al., NeurIPS 2018): two networks, each of which learns what the other finds easy."""

from collections.abc import Mapping

import keras
import numpy as np

from model.settings import NoiseSettings, TrainingSettings
from training.network.noise.method import (
    Batch,
    NoiseMethod,
    cross_entropies,
    joint_logits,
    smallest,
    train_on_rows,
)
from training.network.train_state import all_variables


class CoTeaching(NoiseMethod):
    """Trains a second network beside the one that is served; both have the same batches.

    Of a batch each passes the 1 - R(t) of the least loss to the other, where R rises to tau.

    Args:
        peer: the second network, built with another seed.
    """

    def __init__(self, peer: keras.Model, settings: NoiseSettings):
        self.peer = peer
        self.settings = settings
        self._share = 1.0

    def prepare(
        self, model: keras.Model, loss_weights: Mapping[str, float], settings: TrainingSettings, steps: int
    ) -> None:
        """Compile both."""
        for network in (model, self.peer):
            super().prepare(network, loss_weights, settings, steps)

    def begin_epoch(self, model: keras.Model, epoch: int) -> None:
        """Say what share of a batch is passed on."""
        del model
        self._share = 1 - self.settings.noise_rate * min(epoch / self.settings.noise_warmup_epochs, 1)

    def step(self, model: keras.Model, rows: np.ndarray, batch: Batch) -> dict[str, float]:
        """Train each on what the other passes; the figures are the served one's."""
        del rows
        labels = np.asarray(next(iter(batch[1].values())))
        passed, from_peer = (
            smallest(cross_entropies(joint_logits(network, batch[0]), labels), self._share)
            for network in (model, self.peer)
        )
        train_on_rows(self.peer, batch, passed, labels)
        return train_on_rows(model, batch, from_peer, labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, random states and optimizer of the second network."""
        return {str(i): np.asarray(variable) for i, variable in enumerate(all_variables(self.peer))}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Undo `arrays`."""
        for i, variable in enumerate(all_variables(self.peer)):
            variable.assign(arrays[str(i)])
