"""The training of one trial in a worker: prepare, train, measure."""

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
from training.network.noise.choice import training_settings
from training.network.noise.requirements import refuse_row_methods
from training.network.optimization import head_loss_weights
from training.preparation import Preparation, Prepared
from training.sampling.choice import refuse_sampling
from training.train import build_network, run_key
from training.tune.scheduling.trial_message import Outcome, TrialSpec
from training.tune.workers.objective import measure_objectives
from training.tune.workers.trial_state import TrialState

#: Reports an epoch's figures and number; returns "RUNNING" to continue, "STOPPED" to end or "FAILED" to drop the trial.
Report = Callable[[Mapping[str, float], int], str]
#: Products per call, and calls, when the latency is measured.
_LATENCY_ROWS, _LATENCY_CALLS = 32, 15
_PICTURE_ROWS, _PICTURE_CALLS = 8, 6


class TrialDropped(Exception):  # noqa: N818, not an error: another worker has the trial
    """The chief no longer needs the result of this trial."""


class TrialTraining:
    """Trains the trials of one worker.

    Args:
        states_dir: folder for states that later trials continue.
        objective: one of `training.tune.workers.objective.OBJECTIVES`.
        report: reports an epoch to the chief.
        last_status: returns the chief's latest answer; called after every step.
    """

    def __init__(
        self,
        preparation: Preparation,
        states_dir: Path,
        objective: str,
        report: Report,
        last_status: Callable[[], str],
    ):
        self.preparation = preparation
        self.states_dir = states_dir
        self.objective = objective
        self.report = report
        self.last_status = last_status

    def run(self, spec: TrialSpec) -> Outcome:
        """Train one trial.

        Raises:
            TrialDropped: the chief gave it to another worker.
            Exception: any error of the training.
        """
        started = time.monotonic()
        settings = settings_from_dict(spec.settings, f"trial {spec.trial_id}")
        keras.utils.clear_session()
        gc.collect()  # frees the previous model
        refuse_row_methods(settings.noise)
        refuse_sampling(settings.sampling)
        prepare_keras(settings.training)
        prepared = self.preparation.prepare(settings)
        is_prepared = time.monotonic()
        model, classifier, (train, val) = build_network(prepared, settings)
        assert prepared.val is not None
        assert val is not None  # a search compares on other rows
        epoch_objective = EpochObjective(self, val, prepared, spec.epochs)
        state = TrialState(
            self.states_dir / spec.trial_id,
            run_key(settings, prepared),
            spec.epochs if spec.keeps_state else None,
            self.states_dir / spec.parent if spec.parent else None,
        )
        progress = fit(
            model,
            head_loss_weights(prepared.shape.heads, settings),
            (train, val),
            training_settings(settings),
            state,
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
        if spec.parent and spec.parent != spec.trial_id:
            shutil.rmtree(self.states_dir / spec.parent, ignore_errors=True)  # only this trial continues it
        return Outcome(score=figures[self.objective], figures=figures)


class EpochObjective(keras.callbacks.Callback):
    """Reports every epoch to the chief and follows its answer.

    Args:
        epochs: number of epochs after which to stop.
    """

    def __init__(self, training: TrialTraining, val: CatalogBatches, prepared: Prepared, epochs: int):
        super().__init__()
        self.training = training
        self.val = val
        self.taxonomy = prepared.labels.taxonomy
        self.heads = prepared.shape.heads
        self.epochs = epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop in the middle of an epoch when the chief asks for it."""
        self._apply(self.training.last_status())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the figures of the epoch."""
        row = by_head(logs, self.heads)
        is_known = self.training.objective == "joint_accuracy"
        figures = (
            {"joint_accuracy": row["val_joint_accuracy"]}
            if is_known
            else measure_objectives(self.model, self.val, self.taxonomy)
        )
        figures |= {"loss": row["loss"], "val_loss": row["val_loss"]}
        self._apply(self.training.report(figures, epoch + 1))
        self.model.stop_training = self.model.stop_training or epoch + 1 >= self.epochs

    def _apply(self, status: str) -> None:
        if status == "FAILED":
            raise TrialDropped
        self.model.stop_training = self.model.stop_training or status == "STOPPED"


def _num_parameters(classifier: keras.Model, prepared: Prepared) -> int:
    encoder = prepared.image_encoder.count_params() if prepared.image_encoder is not None else 0
    return int(classifier.count_params() + encoder)


def _speed(classifier: keras.Model, prepared: Prepared, val: CatalogBatches) -> dict[str, float]:
    """Measure the latency on this machine under its current load: the shortest of several calls.

    Returns:
        latency_ms of one product among _LATENCY_ROWS, its picture included; images_per_s with pictures.
    """
    rows = np.arange(_LATENCY_ROWS) % len(val.catalog)
    inputs = {}
    for tensor in classifier.inputs:
        source = val.catalog.arrays.get(tensor.name)
        form = (_LATENCY_ROWS, *tensor.shape[1:])
        inputs[tensor.name] = np.zeros(form, tensor.dtype) if source is None else source[rows]
    inputs["presence"] = np.ones((_LATENCY_ROWS, len(prepared.shape.fields)), np.float32)
    figures = {
        "latency_ms": 1000 * _shortest_s(lambda: classifier.predict_on_batch(inputs), _LATENCY_CALLS) / len(rows)
    }
    if prepared.pictures is not None:
        figures["images_per_s"] = _images_per_s(prepared.pictures)
        figures["latency_ms"] += 1000 / figures["images_per_s"]
    return figures


def _images_per_s(pictures: PictureEncoder) -> float:
    size = pictures.settings.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (_PICTURE_ROWS, size, size, 3)).astype(np.uint8)
    return _PICTURE_ROWS / _shortest_s(lambda: pictures.run(pixels), _PICTURE_CALLS)


def _shortest_s(call: Callable[[], Any], num_calls: int) -> float:
    call()  # compiles
    times = []
    for _ in range(num_calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def _peak_mib() -> float:
    """Return the peak memory of the process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
