"""One trial: its hyperparameters, attempts, progress and outcome."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

#: queued: waits for a worker, for the first time or again. running: a worker has it. completed: trained to its end.
#: stopped: ended early by the median rule or the budget; its score counts. failed: ended with an error.
Status = Literal["queued", "running", "completed", "stopped", "failed"]
SCORED: tuple[Status, ...] = ("completed", "stopped")
ENDED: tuple[Status, ...] = (*SCORED, "failed")


@dataclass
class Attempt:
    """One worker's attempt at a trial.

    Args:
        started_at: seconds since 1970.
        outcome: "running", a Status the trial ended with, "lost" (the worker died or sent no message) or "returned".
    """

    worker: str
    started_at: float
    ended_at: float | None = None
    outcome: str = "running"


@dataclass
class SearchTrial:
    """A trial, as the record stores it.

    Args:
        number: from 0, in the order in which they were chosen.
        values: hyperparameters as keras-tuner chose them, its own ("tuner/epochs") among them.
        settings: the whole config that is trained, {group: {name: value}}.
        epochs: epochs after which it ends; fewer than the config's in Hyperband's early rounds.
        parent: trial whose training it continues, "" for none.
        losses: attempts whose worker died or sent no message.
        history: a row per epoch of the last attempt: epoch, seconds (since the attempt began) and figures.
        score: the objective of the weights that training keeps; None until the trial has ended with success.
        reason: the reason why it stopped early, "" if it did not.
        error: the error of a failed trial, with its traceback.
        figures: accuracy, macro_f1, coverage@0.98, num_parameters, latency_ms, seconds by phase and more.
    """

    number: int
    trial_id: str
    values: dict[str, Any]
    settings: dict[str, dict[str, Any]]
    epochs: int
    parent: str = ""
    status: Status = "queued"
    attempts: list[Attempt] = field(default_factory=list)
    losses: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    score: float | None = None
    reason: str = ""
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """True when the trial has reached a final status."""
        return self.status in ENDED

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """`values` without keras-tuner's own."""
        return {name: value for name, value in self.values.items() if not name.startswith("tuner/")}

    @property
    def lease_id(self) -> str:
        """The id of the current or last attempt."""
        return f"{self.trial_id}.{len(self.attempts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SearchTrial":
        """Build a trial from the values of `to_dict`."""
        return cls(**{**values, "attempts": [Attempt(**attempt) for attempt in values["attempts"]]})


def trial_id_of(lease_id: str) -> str:
    """Return the trial's id in the id of an attempt."""
    return lease_id.rpartition(".")[0]
