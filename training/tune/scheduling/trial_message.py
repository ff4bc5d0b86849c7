"""The data that chief and workers exchange inside the messages of keras-tuner's service.

Its messages hold hyperparameters, a status and metrics. Everything else is sent as JSON text among a trial's
hyperparameters: settings to the worker (keras-tuner's floats have 32 bits), the error and the figures back.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial

from catalog.read_options import ReadOptions

_KEY = "aisle"


@dataclass(frozen=True)
class Job:
    """The settings shared by all trials of a search.

    Args:
        train, val, taxonomy: digests of the files, "" without a taxonomy; a worker's files must have the same ones.
        read_options: how its file is read.
        backend: Keras backend.
        objective: name of the metric that is maximised.
    """

    train: str
    val: str
    taxonomy: str
    read_options: ReadOptions
    backend: str
    objective: str


@dataclass(frozen=True)
class TrialSpec:
    """The specification of a trial for a worker.

    Args:
        settings: {group: {name: value}}.
        epochs: number of epochs after which it ends.
        trial_id: the trial's id.
        parent: trial whose training it continues if that state still exists, "" for none.
        keeps_state: store the state, because a later trial may continue this one.
    """

    settings: dict[str, dict[str, Any]]
    epochs: int
    trial_id: str
    parent: str
    keeps_state: bool


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Args:
        score: the objective; None when the trial failed.
        error: the error with its traceback; "" when the trial did not fail.
        figures: see `SearchTrial`.
    """

    score: float | None = None
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def pack(content: Job | TrialSpec | Outcome) -> HyperParameters:
    """Encode content as hyperparameters that a message can hold."""
    packed = HyperParameters()
    packed.values[_KEY] = json.dumps(dataclasses.asdict(content))
    return packed


def unpack_job(packed: HyperParameters) -> Job:
    """Decode a packed Job."""
    values = json.loads(packed.values[_KEY])
    return Job(**{**values, "read_options": ReadOptions(**values["read_options"])})


def unpack_spec(trial: Trial) -> TrialSpec:
    """Decode the TrialSpec of a message."""
    return TrialSpec(**json.loads(trial.hyperparameters.values[_KEY]))


def unpack_outcome(trial: Trial) -> Outcome:
    """Decode the Outcome of a message."""
    return Outcome(**json.loads(trial.hyperparameters.values[_KEY]))
