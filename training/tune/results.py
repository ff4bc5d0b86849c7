"""What a search leaves: best.toml, trials.csv, report.html, TensorBoard runs, and a summary on the terminal."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from model.settings import settings_from_dict, settings_to_toml
from training.tune.analysis import scored_trials
from training.tune.hparams_log import write_hparams
from training.tune.page import PageFacts, write_page
from training.tune.search import SearchJob, SearchResult
from training.tune.study import PLOT_FILE, study_plot, study_points, study_table
from training.tune.trial import SearchTrial
from training.tune.trial_table import best_first, duration, trials_table

BEST_FILE = "best.toml"
_NUM_ENDS = 5


@dataclass(frozen=True)
class Accounting:
    """Where the workers' time went, as shares of wall time times workers; they add up to 1.

    Args:
        training: training and evaluation.
        preparing: tokenising, encoding and embedding what a trial's own settings ask for.
        lost: attempts that were interrupted or failed.
        waiting: for the trials of the other workers, where nothing was left to begin.
        overhead: the rest: starting, choosing.
    """

    training: float
    preparing: float
    lost: float
    waiting: float
    overhead: float


def write_results(job: SearchJob, result: SearchResult, study: str | None, console: Console) -> None:
    """Write everything into the search's folder and tell the best and the worst."""
    trials, objective = result.trials, job.scheduler.objective
    ranked = best_first(scored_trials(trials))
    write_trials_csv(job.folder / "trials.csv", trials, objective)
    write_hparams(job.folder / "tensorboard", trials, objective)
    lines = verdict(job, result, study)
    page = write_page(job.folder, trials, _facts(job, result, study, lines))
    if ranked:
        best = ranked[0]
        head = f"# Trial {best.trial_id} of {len(trials)}: {objective} {best.score:.4f} on {job.val.name}.\n"
        toml = settings_to_toml(settings_from_dict(best.settings, f"trial {best.trial_id}"))
        (job.folder / BEST_FILE).write_text(head + toml, encoding="utf-8")
        if study is None:
            _tell_ends(ranked, objective, console)
    if study is not None and ranked:
        points = study_points(trials, study)
        (job.folder / PLOT_FILE).write_bytes(study_plot(points, study, objective))
        console.print(study_table(points, study, objective))
    for line in lines:
        console.print(line, soft_wrap=True)
    made = f"{job.folder / BEST_FILE} for train --config, " if ranked else ""
    console.print(
        f"{made}{page} for the eyes" + (f", {job.folder / PLOT_FILE}" if study and ranked else ""), soft_wrap=True
    )


def account(trials: Sequence[SearchTrial], seconds: float, num_workers: int) -> Accounting:
    """Divide the workers' time.

    Args:
        seconds: wall time of the search.
        num_workers: at the same time.
    """
    whole = max(seconds * num_workers, 1e-9)
    training = preparing = lost = 0.0
    for trial in trials:
        for attempt in trial.attempts:
            is_whole = attempt is trial.attempts[-1] and "seconds" in trial.figures
            if not is_whole and attempt.ended_at is not None:
                lost += attempt.ended_at - attempt.started_at
        spent = trial.figures.get("seconds", {})
        training += spent.get("train", 0.0) + spent.get("evaluate", 0.0)
        preparing += spent.get("prepare", 0.0)
    rest = max(0.0, whole - training - preparing - lost)
    waiting = min(rest, _waiting_s(trials))
    return Accounting(training / whole, preparing / whole, lost / whole, waiting / whole, (rest - waiting) / whole)


def _waiting_s(trials: Sequence[SearchTrial]) -> float:
    """Seconds that workers were idle while others had trials.

    After each attempt, until its worker began the next one or, where there was none, until those had ended that ran at
    that moment.
    """
    attempts = [(a.started_at, a.ended_at, a) for trial in trials for a in trial.attempts if a.ended_at is not None]
    seconds = 0.0
    for _, ended_at, attempt in attempts:
        next_began = min((s for s, _, a in attempts if a.worker == attempt.worker and s >= ended_at), default=None)
        if next_began is None and attempt.outcome == "lost":  # whoever came in its place has another name
            continue
        others_end = max((e for s, e, a in attempts if a is not attempt and s < ended_at < e), default=ended_at)
        seconds += (others_end if next_began is None else min(next_began, others_end)) - ended_at
    return seconds


def verdict(job: SearchJob, result: SearchResult, study: str | None) -> list[str]:
    """Sentences: how many trials, the best, how it compares with the base settings, where the time went."""
    trials, objective = result.trials, job.scheduler.objective
    ranked = best_first(scored_trials(trials))
    counts = {
        status: sum(trial.status == status for trial in trials) for status in dict.fromkeys(t.status for t in trials)
    }
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [f"{len(trials)} trials in {duration(result.seconds)}: {told or 'none began'}."]
    if result.failure:
        lines.append(f"Stopped before its end: {result.failure.strip().splitlines()[-1]}")
    if not ranked:
        return lines
    best, base = ranked[0], base_trial(trials)
    against = "." if study else _against(best, base, job.val)  # a study has no settings to begin with
    lines.append(f"Best: trial {best.trial_id} with {objective} {best.score:.4f}{against}")
    if job.num_workers:
        shares = account(trials, result.seconds, job.num_workers)
        lines.append(
            f"Of the workers' time {shares.training:.1%} went into training and evaluation, {shares.preparing:.1%} into"
            f" preparing data, {shares.lost:.1%} into attempts that failed or were interrupted, {shares.waiting:.1%}"
            f" into waiting for other workers' trials; {shares.overhead:.1%} is the search's own, starting included."
        )
    return lines


def base_trial(trials: Sequence[SearchTrial]) -> SearchTrial | None:
    """The trial that every search begins with: the base settings, or what of the space is next to them.

    Of Hyperband's rounds the last one of the same settings that has a score.
    """
    same = [trial for trial in trials if trial.hyperparameters == trials[0].hyperparameters]
    return next((trial for trial in reversed(same) if trial.score is not None), same[0] if same else None)


def write_trials_csv(path: Path, trials: Sequence[SearchTrial], objective: str) -> None:
    """A row per trial, for a spreadsheet or pandas."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    figures = ("joint_accuracy", "macro_f1", "coverage@0.98", "latency_ms", "num_parameters", "images_per_s")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["trial", "status", "reason", f"score_{objective}", "epochs", "attempts", *figures, *names, "error"]
        )
        for trial in trials:
            writer.writerow(
                [trial.trial_id, trial.status, trial.reason, trial.score, len(trial.history), len(trial.attempts)]
                + [trial.figures.get(figure) for figure in figures]
                + [trial.hyperparameters.get(name) for name in names]
                + [trial.error.strip().rpartition("\n")[2]]
            )


def _against(best: SearchTrial, base: SearchTrial | None, val: Path) -> str:
    """Beside the base settings, with the noise of the validation catalog said."""
    if base is None or base.score is None or best.score is None:
        return "."
    if best.hyperparameters == base.hyperparameters:
        return ", which is the one with the base settings: nothing found beats them."
    if base.epochs < best.epochs:
        return f"; the base settings had {base.score:.4f} after {base.epochs} epochs and were not gone on with."
    gain = best.score - base.score
    said = f"; the base settings (trial {base.trial_id}) have {base.score:.4f}, {gain:.4f} less"
    num_val = best.figures.get("num_val", 0)
    if not num_val:
        return f"{said}."
    # Of a difference between two models on the same rows this is an upper bound: their mistakes are correlated.
    noise = math.sqrt(2 * best.score * (1 - best.score) / num_val)
    close = "within" if gain < 2 * noise else "beyond"
    return (
        f"{said}, {close} two standard errors ({2 * noise:.4f}) of {num_val:,} rows of {val.name}. The best of many"
        " trials flatters itself: judge it once more on rows that no trial has seen."
    )


def _facts(job: SearchJob, result: SearchResult, study: str | None, lines: list[str]) -> PageFacts:
    base = base_trial(result.trials)
    return PageFacts(
        title=f"Study: {study}" if study else "Hyperparameter search",
        objective=job.scheduler.objective,
        lines=lines,
        facts={
            "Catalogs": f"{job.train.name} to train, {job.val.name} to choose by",
            "Search": f"{job.tuner}, {len(result.trials)} trials, {job.num_workers} workers here",
            "Early stop": "median rule"
            if job.scheduler.median_rule
            else "Hyperband's"
            if job.tuner == "hyperband"
            else "none",
            "Space": ", ".join(dimension.key for dimension in result.space.dimensions),
        },
        base_trial=base.trial_id if base is not None else "",
        log_axes=frozenset(dimension.key for dimension in result.space.dimensions if dimension.grows_by_ratio),
    )


def _tell_ends(ranked: Sequence[SearchTrial], objective: str, console: Console) -> None:
    best, worst = ranked[:_NUM_ENDS], ranked[_NUM_ENDS:][-_NUM_ENDS:]
    console.print(f"best {len(best)}:")
    console.print(trials_table(best, objective))
    if worst:
        console.print(f"worst {len(worst)}:")
        console.print(trials_table(worst, objective))
