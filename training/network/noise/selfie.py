"""SELFIE (Song, Kim, Lee, ICML 2019): learn rows of small loss, and relabel those that the network is sure of."""

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

_NONE = -1


class Selfie(NoiseMethod):
    """Learns, after a warm-up, the rows of small loss as they are labelled and refurbished rows as the network says.

    A row is refurbished once enough of the last answers to it agree; that wins over a small loss and stays. Answers are
    without dropout; one votes from the step after it on. Each restart forgets weights and votes, keeps the refurbished
    labels, and expects as many fewer wrong labels as they changed.

    Args:
        labels: (N,) of the training catalog.
        epochs: of one run.
    """

    def __init__(self, labels: np.ndarray, num_classes: int, epochs: int, settings: NoiseSettings):
        self.settings = settings
        self.epochs = epochs
        self.num_runs = 1 + settings.selfie_restarts
        self.labels = np.asarray(labels, np.int32)
        self.num_classes = num_classes
        self.votes = no_votes(len(labels), settings.selfie_history, num_classes)
        self.refurbished = np.full(len(labels), _NONE, np.int32)
        self.losses = np.full(len(labels), np.inf, np.float32)
        self.noise_rate = settings.noise_rate
        self._is_warm = False
        self._in_any_case = np.zeros(len(labels), bool)
        self._start: list[np.ndarray] = []

    def prepare(
        self, model: keras.Model, loss_weights: Mapping[str, float], settings: TrainingSettings, steps: int
    ) -> None:
        """Compile, and remember the start for the restarts."""
        super().prepare(model, loss_weights, settings, steps)
        if self.num_runs > 1:
            self._start = [np.array(variable) for variable in all_variables(model)]

    def begin_epoch(self, model: keras.Model, epoch: int) -> None:
        """Restart where a run begins, and say what is learned from now on."""
        if epoch and epoch % self.epochs == 0:
            for variable, value in zip(all_variables(model), self._start, strict=True):
                variable.assign(value)
            self.votes = no_votes(len(self.labels), self.settings.selfie_history, self.num_classes)
            self.losses[:] = np.inf
            self.noise_rate = remaining_noise(self.settings.noise_rate, self.refurbished, self.labels)
        self._is_warm = epoch % self.epochs >= self.settings.noise_warmup_epochs
        self._in_any_case = least_of_classes(self.losses, self.labels, self.settings.selfie_class_quota)

    def step(self, model: keras.Model, rows: np.ndarray, batch: Batch) -> dict[str, float]:
        """Choose rows and labels by the network's answers, train, then count the answers as votes."""
        logits, given = joint_logits(model, batch[0]), self.labels[rows]
        losses = cross_entropies(logits, given)
        is_learned = np.ones(len(rows), bool)
        if self._is_warm:
            agreed = agreed_labels(self.votes[rows], self.settings.selfie_agreeing_votes)
            self.refurbished[rows] = np.where(agreed == _NONE, self.refurbished[rows], agreed)
            is_learned = smallest(losses, 1 - self.noise_rate) | self._in_any_case[rows]
        own = self.refurbished[rows]
        logs = train_on_rows(model, batch, is_learned | (own != _NONE), np.where(own == _NONE, given, own))
        self.losses[rows] = losses
        self.votes[rows] = np.concatenate([self.votes[rows, 1:], logits.argmax(axis=1)[:, None]], axis=1)
        return logs

    def arrays(self) -> dict[str, np.ndarray]:
        """Votes, refurbished labels, losses and the share of labels that are still wrong."""
        found = {"votes": self.votes, "refurbished": self.refurbished, "losses": self.losses}
        return {**found, "noise_rate": np.array(self.noise_rate)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Undo `arrays`."""
        self.votes, self.refurbished, self.losses = arrays["votes"], arrays["refurbished"], arrays["losses"]
        self.noise_rate = float(arrays["noise_rate"])


def no_votes(num_rows: int, history: int, num_classes: int) -> np.ndarray:
    """(N, q) empty places, 2 bytes each below 65,535 classes, else 4."""
    kind = np.uint16 if num_classes < np.iinfo(np.uint16).max else np.uint32
    return np.full((num_rows, history), np.iinfo(kind).max, kind)


def agreed_labels(votes: np.ndarray, least: int) -> np.ndarray:
    """(B,) int32, the class with most votes where it has `least` of them, else -1; empty places do not vote."""
    counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    counts[votes == np.iinfo(votes.dtype).max] = 0
    best = counts.argmax(axis=1)
    rows = np.arange(len(votes))
    return np.where(counts[rows, best] >= least, votes[rows, best].astype(np.int64), _NONE).astype(np.int32)


def remaining_noise(noise_rate: float, refurbished: np.ndarray, labels: np.ndarray) -> float:
    """The share of labels that are still wrong: the given share without those that refurbishing changed, 0 or more."""
    changed = (refurbished != _NONE) & (refurbished != labels)
    return max(noise_rate - float(changed.mean()), 0.0)


def least_of_classes(losses: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """(N,) bool, of each class the ceil(n * share) rows of the least loss, at least one where share is above 0."""
    order = np.lexsort((losses, labels))
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    return np.asarray(ranks < np.ceil(np.round(sizes * share, 9))[labels])
