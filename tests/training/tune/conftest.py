"""Fixtures: schedulers of a small space without a network, with a clock that the test sets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.read_options import ReadOptions
from tests.conftest import TOY_SETTINGS
from training.tune.scheduling.oracles import Tuner, build_oracle
from training.tune.scheduling.record import Record
from training.tune.scheduling.scheduler import Scheduler
from training.tune.scheduling.scheduler_settings import SchedulerSettings
from training.tune.scheduling.trial_message import Job
from training.tune.space.space import Space, load_space

SPACE = """
[model]
fcl_dim = { choice = [8, 16, 32] }
[fields]
name_dropout_rate = { float = [0.0, 0.6] }
[training]
optimizer = { choice = ["Adam", "SGD"] }
learning_rate = { log = [1e-3, 1e-1] }
"""
JOB = Job("train", "val", "", ReadOptions(), "tensorflow", "joint_accuracy")
BASE = replace(TOY_SETTINGS, training=replace(TOY_SETTINGS.training, epochs=9))


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """A space of four hyperparameters."""
    path = tmp_path / "space.toml"
    path.write_text(SPACE, encoding="utf-8")
    return load_space(path, BASE, ("name",))


@pytest.fixture
def open_scheduler(tmp_path: Path, space: Space, clock: Clock) -> Callable[..., Scheduler]:
    """Open the search in tmp_path, new or resumed, as a process does."""

    def opened(tuner: Tuner = "random", job: Job = JOB, space: Space = space, **settings: Any) -> Scheduler:
        chosen = SchedulerSettings(**{"num_trials": 5, "objective": "joint_accuracy", **settings})
        oracle = build_oracle(tuner, space, chosen.objective, chosen.num_trials, 0, BASE.training.epochs)
        return Scheduler(Record(tmp_path / "search"), oracle, space, job, chosen, clock)

    return opened
