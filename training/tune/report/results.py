"""The results of a search: best.toml, trials.csv, report.html, TensorBoard runs and a summary on the terminal."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from model.machine.whole_file import whole_file
from model.settings import settings_from_dict, settings_to_toml
from training.report.contract_text import percent
from training.tune.report.analysis import scored_trials
from training.tune.report.hparams_log import write_hparams
from training.tune.report.page import PageFacts, write_page
from training.tune.report.trial_table import best_first, duration, trials_table
from training.tune.scheduling.scheduler_settings import LOCAL, OVER_BUDGET
from training.tune.scheduling.trial import SearchTrial
from training.tune.search import SearchJob, SearchResult
from training.tune.space.space import Space
from training.tune.study import PLOT_FILE, StudyPoint, missing_line, study_plot, study_points, study_table

BEST_FILE = "best.toml"
_NUM_ENDS = 5


@dataclass(frozen=True)
class Accounting:
    """The workers' time by use, as shares of wall time times workers; they add up to 1.

    Args:
        training: training and evaluation.
        preparing: tokenising, encoding and embedding for a trial's own settings.
        lost: attempts that were interrupted or failed.
        waiting: idle time while other workers' trials ran and none was left to begin.
        overhead: the remainder: starting, choosing.
    """

    training: float
    preparing: float
    lost: float
    waiting: float
    overhead: float


def write_results(job: SearchJob, result: SearchResult, study: str | None, console: Console) -> None:
    """Write all files to the search's folder and print the best and the worst trials."""
    trials, objective = result.trials, job.scheduler.objective
    ranked = best_first(scored_trials(trials))
    write_trials_csv(job.folder / "trials.csv", trials, objective)
    write_hparams(job.folder / "tensorboard", trials, objective)
    points = study_points(trials, study, result.space) if study is not None else []
    lines = verdict(job, result, points)
    page = write_page(job.folder, trials, _facts(job, result, study, lines))
    if ranked:
        best = ranked[0]
        head = f"# Trial {best.trial_id} of {len(trials)}: {objective} {best.score:.4f} on {job.val.name}.\n"
        toml = settings_to_toml(settings_from_dict(best.settings, f"trial {best.trial_id}"))
        with whole_file(job.folder / BEST_FILE) as file:
            file.write_text(head + toml, encoding="utf-8")
        if study is None:
            _print_best_and_worst(ranked, objective, console)
    has_plot = study is not None and any(point.scores for point in points)
    if study is not None and has_plot:
        with whole_file(job.folder / PLOT_FILE) as file:
            file.write_bytes(study_plot(points, study, objective))
    if study is not None and ranked:
        console.print(study_table(points, study, objective))
    for line in lines:
        console.print(line, soft_wrap=True)
    best_file = f"{job.folder / BEST_FILE} for train --config, " if ranked else ""
    console.print(f"wrote {best_file}{page}" + (f", {job.folder / PLOT_FILE}" if has_plot else ""), soft_wrap=True)


def account(trials: Sequence[SearchTrial], seconds: float, num_workers: int) -> Accounting:
    """Divide the time of the workers that the search has started by use.

    Args:
        seconds: wall time of the search.
        num_workers: such workers at the same time.
    """
    training = preparing = lost = 0.0
    for trial in trials:
        for attempt in trial.attempts:
            if not attempt.worker.startswith(LOCAL):
                continue
            if attempt is trial.attempts[-1] and "seconds" in trial.figures:
                spent = trial.figures["seconds"]
                training += spent["train"] + spent["evaluate"]
                preparing += spent["prepare"]
            elif attempt.ended_at is not None:
                lost += attempt.ended_at - attempt.started_at
    # A kill loses some seconds of the wall time, see `SearchTime`.
    total = max(seconds * num_workers, training + preparing + lost, 1e-9)
    remainder = total - training - preparing - lost
    waiting = min(remainder, _waiting_s(trials))
    return Accounting(training / total, preparing / total, lost / total, waiting / total, (remainder - waiting) / total)


def _waiting_s(trials: Sequence[SearchTrial]) -> float:
    """Return the seconds that workers were idle while others had trials.

    Idle time lasts from the end of an attempt until its worker begins the next one or, without a next one, until the
    attempts that ran at that moment have ended.
    """
    attempts = [
        (a.started_at, a.ended_at, a)
        for trial in trials
        for a in trial.attempts
        if a.ended_at is not None and a.worker.startswith(LOCAL)
    ]
    seconds = 0.0
    for _, ended_at, attempt in attempts:
        next_began = min((s for s, _, a in attempts if a.worker == attempt.worker and s >= ended_at), default=None)
        if next_began is None and attempt.outcome == "lost":  # its successor has another name
            continue
        others_end = max((e for s, e, a in attempts if a is not attempt and s < ended_at < e), default=ended_at)
        seconds += (others_end if next_began is None else min(next_began, others_end)) - ended_at
    return seconds


def verdict(job: SearchJob, result: SearchResult, points: Sequence[StudyPoint]) -> list[str]:
    """Return sentences about the number of trials, the best one, its gain over the base settings, and the time.

    Args:
        points: of a study; none of another search.
    """
    trials, objective = result.trials, job.scheduler.objective
    ranked = best_first(scored_trials(trials))
    counts = {
        status: sum(trial.status == status for trial in trials) for status in dict.fromkeys(t.status for t in trials)
    }
    statuses = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [f"{len(trials)} trials in {duration(result.seconds)}: {statuses or 'none began'}."]
    if result.failure:
        lines.append(f"Stopped before its end: {result.failure.strip().splitlines()[-1]}")
    lines += filter(None, [_left_out(job, result), missing_line(points)])
    if not ranked:
        return lines
    best, base = ranked[0], base_trial(trials, result.space)
    comparison = "." if points else _compared_with_base(best, base, job.val)  # a study has no base settings
    lines.append(f"Best: trial {best.trial_id} with {objective} {best.score:.4f}{comparison}")
    if job.num_workers:
        shares = account(trials, result.seconds, job.num_workers)
        parts = (shares.training, shares.preparing, shares.lost, shares.waiting, shares.overhead)
        training, preparing, lost, waiting, overhead = (percent(part).replace("\u00a0", " ") for part in parts)
        lines.append(
            f"Workers here spent {training} of their time on training and evaluation, {preparing} on preparing data,"
            f" {lost} on attempts that failed or were interrupted and {waiting} waiting for other workers' trials;"
            f" {overhead} is overhead of the search, starting included."
        )
    return lines


def _left_out(job: SearchJob, result: SearchResult) -> str:
    """Say what the time budget cut off; '' where it was not spent."""
    num_points = result.space.num_points if job.tuner == "grid" else None
    num_planned = min(job.scheduler.num_trials, num_points or job.scheduler.num_trials)
    num_cut = sum(trial.reason == OVER_BUDGET for trial in result.trials)
    num_begun = sum(bool(trial.attempts) for trial in result.trials)
    budget_s = job.scheduler.budget_s
    if budget_s is None or result.seconds < budget_s or (num_begun >= num_planned and not num_cut):
        return ""
    return (
        f"The time budget of {duration(budget_s)} was spent: {num_planned - num_begun} of {num_planned} planned trials"
        f" did not begin, {num_cut} were cut short; the same command with more --budget-minutes begins the others."
    )


def base_trial(trials: Sequence[SearchTrial], space: Space) -> SearchTrial | None:
    """Return the trial with the base settings, None where they are no point of a grid.

    With Hyperband it is the last round of these settings that has a score.
    """
    settings = space.base_dict
    same = [trial for trial in trials if trial.settings == settings]
    return next((trial for trial in reversed(same) if trial.score is not None), same[0] if same else None)


def write_trials_csv(path: Path, trials: Sequence[SearchTrial], objective: str) -> None:
    """Write a row per trial, for a spreadsheet or pandas."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    figures = ("joint_accuracy", "macro_f1", "coverage@0.98", "latency_ms", "num_parameters", "images_per_s")
    with whole_file(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
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


def _compared_with_base(best: SearchTrial, base: SearchTrial | None, val: Path) -> str:
    """Compare the best trial with the base settings, with the sampling error of the validation catalog."""
    if base is None or base.score is None or best.score is None:
        return "."
    if best.settings == base.settings:
        return ", which has the base settings: no trial is better."
    if base.epochs < best.epochs:
        return f"; the base settings had {base.score:.4f} after {base.epochs} epochs and were not trained further."
    gain = best.score - base.score
    text = f"; the base settings (trial {base.trial_id}) have {base.score:.4f}, {gain:.4f} less"
    num_val = best.figures.get("num_val", 0)
    if not num_val:
        return f"{text}."
    # An upper bound for two models on the same rows, because their mistakes are correlated.
    noise = math.sqrt(2 * best.score * (1 - best.score) / num_val)
    close = "within" if gain < 2 * noise else "beyond"
    return (
        f"{text}, {close} two standard errors ({2 * noise:.4f}) of {num_val:,} rows of {val.name}. The best of many"
        " trials is biased upwards: evaluate it again on rows that no trial has seen."
    )


def _facts(job: SearchJob, result: SearchResult, study: str | None, lines: list[str]) -> PageFacts:
    base = base_trial(result.trials, result.space)
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
        log_axes=frozenset(dimension.key for dimension in result.space.dimensions if dimension.is_log_scaled),
    )


def _print_best_and_worst(ranked: Sequence[SearchTrial], objective: str, console: Console) -> None:
    best, worst = ranked[:_NUM_ENDS], ranked[_NUM_ENDS:][-_NUM_ENDS:]
    console.print(f"best {len(best)}:")
    console.print(trials_table(best, objective))
    if worst:
        console.print(f"worst {len(worst)}:")
        console.print(trials_table(worst, objective))
