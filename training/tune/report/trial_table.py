"""The trials on the terminal: a live table, or without a terminal a line for each trial that has ended."""

import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from training.tune.scheduling.trial import SCORED, SearchTrial

#: Trials in the live table; the latest of the ended ones.
MAX_ROWS = 18
#: Most hyperparameters printed for a trial.
_MAX_SETTINGS = 6
#: Most characters printed of an error; the record and the report have all of it.
_MAX_ERROR = 300
_COLOURS = {"running": "cyan", "completed": "green", "stopped": "yellow", "failed": "red", "queued": "dim"}


class TrialTable:
    """Shows the progress of a search for the duration of the context.

    Args:
        objective: name of the score.
        num_trials: most trials.
    """

    def __init__(self, console: Console, objective: str, num_trials: int):
        self._console = console
        self._objective = objective
        self._num_trials = num_trials
        self._printed: set[str] = set()
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "TrialTable":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, trials: Sequence[SearchTrial], workers: Mapping[str, str], budget_left_s: float | None) -> None:
        """Show the current trials.

        Args:
            workers: {trial_id: worker} of the running trials.
        """
        if self._live is not None:
            now = time.time()
            shown = sorted(trials, key=lambda trial: (trial.has_ended, -trial.number))[:MAX_ROWS]
            table = trials_table(sorted(shown, key=lambda trial: trial.number), self._objective, workers, now)
            summary = self._summary(trials, workers, budget_left_s)
            self._live.update(Group(table, Text(summary)), refresh=True)
            return
        for trial in trials:
            if trial.has_ended and trial.trial_id not in self._printed:
                self._printed.add(trial.trial_id)
                score = "" if trial.score is None else f", {self._objective} {trial.score:.4f}"
                self._console.print(
                    f"trial {trial.trial_id} {trial.status}{score}: {settings_line(trial)}", soft_wrap=True
                )

    def _summary(self, trials: Sequence[SearchTrial], workers: Mapping[str, str], budget_left_s: float | None) -> str:
        ended = [trial for trial in trials if trial.has_ended]
        best = max((trial.score for trial in trials if trial.score is not None), default=None)
        parts = [f"{len(ended)} of {self._num_trials} trials", f"{len(workers)} running"]
        if best is not None:
            parts.append(f"best {self._objective} {best:.4f}")
        lengths = [
            trial.attempts[-1].ended_at - trial.attempts[-1].started_at
            for trial in ended
            if trial.attempts and trial.attempts[-1].ended_at
        ]
        if lengths and workers:
            left_s = statistics.mean(lengths) * (self._num_trials - len(ended)) / len(workers)
            parts.append(f"about {duration(left_s)} left for all trials")
        if budget_left_s is not None:
            parts.append(f"{duration(max(0.0, budget_left_s))} of the time budget left")
        return ", ".join(parts)


def trials_table(
    trials: Sequence[SearchTrial], objective: str, workers: Mapping[str, str] | None = None, now: float = 0.0
) -> Table:
    """Build a table of trials: status, score, epoch, settings; while trials run also time left and worker.

    Args:
        workers: {trial_id: worker}; None when no trial is running any more.
        now: seconds since 1970, for the time left.
    """
    live = [] if workers is None else ["left", "worker"]
    table = Table("trial", "status", objective, "epoch", *live, "settings", box=None, pad_edge=False)
    for trial in trials:
        score = trial.score
        if score is None and trial.history:
            score = max(row[objective] for row in trial.history)
        cells: list[str | Text] = [
            trial.trial_id,
            Text(trial.status, style=_COLOURS[trial.status]),
            "" if score is None else f"{score:.4f}",
            f"{trial.history[-1]['epoch'] if trial.history else 0:.0f}/{trial.epochs}",
        ]
        if workers is not None:
            left_s = time_left_s(trial, now) if trial.status == "running" else None
            cells += ["" if left_s is None else duration(left_s), workers.get(trial.trial_id, "")]
        table.add_row(*cells, Text(settings_line(trial), overflow="ellipsis", no_wrap=True))
    return table


def settings_line(trial: SearchTrial) -> str:
    """Format a trial's hyperparameters, or the error of a failed one, in a line."""
    if trial.status == "failed":
        return trial.error.strip().rpartition("\n")[2][:_MAX_ERROR]
    settings = [f"{name} {_number(value)}" for name, value in trial.hyperparameters.items()]
    more = f" and {len(settings) - _MAX_SETTINGS} more" if len(settings) > _MAX_SETTINGS else ""
    return ", ".join(settings[:_MAX_SETTINGS]) + more


def best_first(trials: Sequence[SearchTrial]) -> list[SearchTrial]:
    """Sort the trials that have a score, the highest first; of equals the earlier one first."""
    scored = [trial for trial in trials if trial.status in SCORED and trial.score is not None]
    return sorted(scored, key=lambda trial: (-(trial.score or 0.0), trial.number))


def time_left_s(trial: SearchTrial, now: float) -> float | None:
    """Estimate the seconds to the end of a running trial; None before its first epoch has ended.

    Args:
        now: seconds since 1970.
    """
    if not trial.history:
        return None
    ends = [0.0, *(row["seconds"] for row in trial.history)]
    # The first epoch includes the preparation, so the median is a better estimate than the mean.
    per_epoch = statistics.median(after - before for before, after in pairwise(ends))
    since_s = now - trial.attempts[-1].started_at - ends[-1]
    return max(0.0, per_epoch * (trial.epochs - trial.history[-1]["epoch"]) - since_s)


def duration(seconds: float) -> str:
    """Format a duration as '45 s', '12 min' or '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
