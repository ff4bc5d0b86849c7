"""One trial in a worker: prepare, train, measure."""

import gc
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from model.network.keras_backend import prepare_keras
from model.settings import settings_from_dict
from training.encoding.picture_encoding import PictureEncoder
from training.network.batches import CatalogBatches
from training.network.fit import by_head, fit
from training.network.optimization import head_loss_weights
from training.preparation import Preparation, Prepared
from training.train import build_network, run_key
from training.tune.objective import measure_objectives
from training.tune.trial_message import Order, Outcome
from training.tune.trial_state import TrialState

#: Told an epoch's figures and its number; says whether to go on: "RUNNING", "STOPPED" or "FAILED" (drop it).
Report = Callable[[Mapping[str, float], int], str]
#: Products in one call when the time of an answer is measured, and calls.
_LATENCY_ROWS, _LATENCY_CALLS = 32, 15
_PICTURE_ROWS, _PICTURE_CALLS = 8, 6


class TrialDropped(Exception):  # noqa: N818, it is no error: another worker has the trial
    """The chief does not want this trial's result any more."""


class TrialTraining:
    """Trains the trials of one worker.

    Args:
        states_dir: states that later trials go on with.
        objective: one of `training.tune.objective.OBJECTIVES`.
        report: tells the chief of an epoch.
        last_word: the chief's newest answer, looked at after every step.
    """

    def __init__(
        self,
        preparation: Preparation,
        states_dir: Path,
        objective: str,
        report: Report,
        last_word: Callable[[], str],
    ):
        self.preparation = preparation
        self.states_dir = states_dir
        self.objective = objective
        self.report = report
        self.last_word = last_word

    def run(self, order: Order) -> Outcome:
        """Train one trial.

        Raises:
            TrialDropped: the chief gave it to somebody else.
            Exception: whatever stops a training, for the trial's record.
        """
        started = time.monotonic()
        settings = settings_from_dict(order.settings, f"trial {order.trial_id}")
        keras.utils.clear_session()
        gc.collect()  # the model before this one
        prepare_keras(settings.training)
        prepared = self.preparation.prepare(settings)
        is_prepared = time.monotonic()
        model, classifier, (train, val) = build_network(prepared, settings)
        epoch_objective = EpochObjective(self, val, prepared, order.epochs)
        state = TrialState(
            self.states_dir / order.trial_id,
            run_key(settings, prepared),
            order.epochs if order.keeps_state else None,
            self.states_dir / order.parent if order.parent else None,
        )
        progress = fit(
            model,
            head_loss_weights(prepared.shape.heads, settings),
            (train, val),
            settings.training,
            state,
            resume=True,
            callbacks=[epoch_objective],
        )
        is_trained = time.monotonic()
        figures: dict[str, Any] = measure_objectives(model, val, prepared.labels.taxonomy)
        figures["num_val"] = len(prepared.val)
        figures["best_epoch"] = progress.best_epoch
        figures["num_parameters"] = _num_parameters(classifier, prepared)
        figures.update(_speed(classifier, prepared, val))
        figures["peak_mib"] = _peak_mib()
        figures["seconds"] = {
            "prepare": is_prepared - started,
            "train": is_trained - is_prepared,
            "evaluate": time.monotonic() - is_trained,
        }
        if order.parent and order.parent != order.trial_id:
            shutil.rmtree(self.states_dir / order.parent, ignore_errors=True)  # one trial goes on with it, no other
        return Outcome(score=figures[self.objective], figures=figures)


class EpochObjective(keras.callbacks.Callback):
    """Tells the chief of every epoch and does what it says.

    Args:
        epochs: after which to stop.
    """

    def __init__(self, training: TrialTraining, val: CatalogBatches, prepared: Prepared, epochs: int):
        super().__init__()
        self.training = training
        self.val = val
        self.taxonomy = prepared.labels.taxonomy
        self.heads = prepared.shape.heads
        self.epochs = epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop in the middle of an epoch where the chief wants it."""
        self._obey(self.training.last_word())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report."""
        row = by_head(logs, self.heads)
        is_known = self.training.objective == "joint_accuracy"
        figures = (
            {"joint_accuracy": row["val_joint_accuracy"]}
            if is_known
            else measure_objectives(self.model, self.val, self.taxonomy)
        )
        figures |= {"loss": row["loss"], "val_loss": row["val_loss"]}
        self._obey(self.training.report(figures, epoch + 1))
        self.model.stop_training = self.model.stop_training or epoch + 1 >= self.epochs

    def _obey(self, word: str) -> None:
        if word == "FAILED":
            raise TrialDropped
        self.model.stop_training = self.model.stop_training or word == "STOPPED"


def _num_parameters(classifier: keras.Model, prepared: Prepared) -> int:
    encoder = prepared.image_encoder.count_params() if prepared.image_encoder is not None else 0
    return int(classifier.count_params() + encoder)


def _speed(classifier: keras.Model, prepared: Prepared, val: CatalogBatches) -> dict[str, float]:
    """How long an answer takes on this machine, as busy as it is: the least of several calls.

    Returns:
        latency_ms of one product among _LATENCY_ROWS, its picture included; images_per_s where there are pictures.
    """
    rows = np.arange(_LATENCY_ROWS) % len(val.catalog)
    inputs = {}
    for tensor in classifier.inputs:
        source = val.catalog.arrays.get(tensor.name)
        form = (_LATENCY_ROWS, *tensor.shape[1:])
        inputs[tensor.name] = np.zeros(form, tensor.dtype) if source is None else source[rows]
    inputs["presence"] = np.ones((_LATENCY_ROWS, len(prepared.shape.fields)), np.float32)
    figures = {"latency_ms": 1000 * _least_s(lambda: classifier.predict_on_batch(inputs), _LATENCY_CALLS) / len(rows)}
    if prepared.pictures is not None:
        figures["images_per_s"] = _images_per_s(prepared.pictures)
        figures["latency_ms"] += 1000 / figures["images_per_s"]
    return figures


def _images_per_s(pictures: PictureEncoder) -> float:
    size = pictures.settings.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (_PICTURE_ROWS, size, size, 3)).astype(np.uint8)
    return _PICTURE_ROWS / _least_s(lambda: pictures.run(pixels), _PICTURE_CALLS)


def _least_s(call: Callable[[], Any], num_calls: int) -> float:
    call()  # compiles
    times = []
    for _ in range(num_calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def _peak_mib() -> float:
    """Of the process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
