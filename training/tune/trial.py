"""One trial: what was tried, by whom, how far it came and how it ended."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

#: queued: to be taken up, for the first time or again. running: a worker has it. completed: trained to its end.
#: stopped: ended early on purpose, by the median rule or the budget; its score counts. failed: recorded with its error.
Status = Literal["queued", "running", "completed", "stopped", "failed"]
SCORED: tuple[Status, ...] = ("completed", "stopped")
ENDED: tuple[Status, ...] = (*SCORED, "failed")


@dataclass
class Attempt:
    """One worker's go at a trial.

    Args:
        started_at: seconds since 1970.
        outcome: "running", a Status the trial ended with, "lost" (the worker died or fell silent) or "given back".
    """

    worker: str
    started_at: float
    ended_at: float | None = None
    outcome: str = "running"


@dataclass
class SearchTrial:
    """A trial, as the record keeps it.

    Args:
        number: from 0, in the order in which they were chosen.
        values: hyperparameters as keras-tuner chose them, its own ("tuner/epochs") among them.
        settings: the whole config that is trained, {group: {name: value}}.
        epochs: epochs after which it ends; fewer than the config's in Hyperband's early rounds.
        parent: trial whose training it goes on with, "" for none.
        losses: attempts whose worker died or fell silent.
        history: a row per epoch of the last attempt: epoch, seconds (since the attempt began) and figures.
        score: the objective of the weights that training keeps; None until it has ended well.
        reason: why it stopped early, "" if it did not.
        error: of a failed trial, with its traceback.
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
        """Whether nothing will change it any more."""
        return self.status in ENDED

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """`values` without keras-tuner's own."""
        return {name: value for name, value in self.values.items() if not name.startswith("tuner/")}

    @property
    def lease_id(self) -> str:
        """Names the attempt that runs, or ran last."""
        return f"{self.trial_id}.{len(self.attempts)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SearchTrial":
        """Undo `to_dict`."""
        return cls(**{**values, "attempts": [Attempt(**attempt) for attempt in values["attempts"]]})


def trial_id_of(lease_id: str) -> str:
    """The trial of an attempt."""
    return lease_id.rpartition(".")[0]
