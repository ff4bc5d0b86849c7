"""What chief and workers say to each other, inside the messages of keras-tuner's service.

Its messages hold hyperparameters, a status and metrics. The rest travels as JSON text among a trial's
hyperparameters: settings to the worker (keras-tuner's floats are of 32 bits), the error and the figures back.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial

_KEY = "aisle"


@dataclass(frozen=True)
class Job:
    """What all trials of a search share.

    Args:
        train, val, taxonomy: digests of the files, "" without a taxonomy; a worker's files have to have the same.
        columns: our column name to the files' heading.
        backend: Keras backend.
        objective: what is maximised.
    """

    train: str
    val: str
    taxonomy: str
    columns: dict[str, str]
    backend: str
    objective: str


@dataclass(frozen=True)
class Order:
    """What a worker is to train.

    Args:
        settings: {group: {name: value}}.
        epochs: after which it ends.
        trial_id: of the trial.
        parent: trial whose training this one goes on with where its state is still there, "" for none.
        keeps_state: whether a later trial may go on with this one's.
    """

    settings: dict[str, dict[str, Any]]
    epochs: int
    trial_id: str
    parent: str
    keeps_state: bool


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Args:
        score: the objective; None when it failed.
        error: with traceback; "" when it did not fail.
        figures: of `SearchTrial`.
    """

    score: float | None = None
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def pack(content: Job | Order | Outcome) -> HyperParameters:
    """As hyperparameters that a message can hold."""
    packed = HyperParameters()
    packed.values[_KEY] = json.dumps(dataclasses.asdict(content))
    return packed


def unpack_job(packed: HyperParameters) -> Job:
    """Undo `pack`."""
    return Job(**json.loads(packed.values[_KEY]))


def unpack_order(trial: Trial) -> Order:
    """Undo `pack`."""
    return Order(**json.loads(trial.hyperparameters.values[_KEY]))


def unpack_outcome(trial: Trial) -> Outcome:
    """Undo `pack`."""
    return Outcome(**json.loads(trial.hyperparameters.values[_KEY]))
