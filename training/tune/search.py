"""The search of `training tune`: runs trials and records them in a folder, so that it can be resumed at any time."""

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from catalog.rows import catalog_digest
from model.errors import CatalogError, SettingsError, TrainingError
from model.machine.cores import usable_core_numbers
from model.settings import Settings
from training.encoding.file_lock import exclusive_or_holder
from training.encoding.parsed_catalog import parse_catalog
from training.inspection.refusals import refuse_nothing_to_learn
from training.splitting.split import check_overlap
from training.tune.report.trial_table import TrialTable
from training.tune.scheduling.chief import Chief
from training.tune.scheduling.oracles import Tuner, build_oracle
from training.tune.scheduling.record import Record
from training.tune.scheduling.scheduler import Scheduler
from training.tune.scheduling.scheduler_settings import SchedulerSettings
from training.tune.scheduling.trial import SearchTrial
from training.tune.scheduling.trial_message import Job
from training.tune.space.space import Space, load_space
from training.tune.workers.local_workers import LocalWorkers, plan_workers, visible_gpus

_POLL_S = 0.25
_SAVE_TIME_S = 5.0
#: Time for remote workers to learn that the search is over.
_SHUTDOWN_S = 3.0

_log = logging.getLogger("aisle.tune")


@dataclass(frozen=True)
class SearchJob:
    """The settings of a search.

    Args:
        space: TOML file of a search space.
        num_seeds: seeds that each point is trained with.
        read_options: how its file is read.
        num_workers: worker processes on this machine; 0 leaves all trials to remote workers.
        listen: "host:port" for remote workers; by default only workers on this machine can connect.
        settings: the base settings, which the space overrides.
    """

    train: Path
    val: Path
    folder: Path
    space: Path
    num_seeds: int
    read_options: ReadOptions
    taxonomy: Path | None
    cache_dir: Path
    tuner: Tuner
    num_workers: int
    listen: str
    backend: str
    scheduler: SchedulerSettings
    settings: Settings


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        space: the space that was searched.
        seconds: wall time of all runs of this search.
        failure: the reason why it was stopped before its end, "" if it was not.
    """

    trials: list[SearchTrial]
    space: Space
    seconds: float
    failure: str


def search(job: SearchJob, console: Console) -> SearchResult:
    """Run the trials that the folder's record does not hold yet.

    Raises:
        AisleError: a catalog or the space cannot be read, another search uses the folder, or its record is of a
            different search.
    """
    for path in (job.train, job.val):
        if not path.exists():
            raise CatalogError(f"{path} is missing; check the path")
    with exclusive_or_holder(job.folder / "lock") as holder:
        if holder is not None:
            raise TrainingError(
                f"{job.folder} is in use by another search (process {holder}); wait for it, or give another --search"
            )
        train, val = (parse_catalog(path, job.read_options, job.cache_dir) for path in (job.train, job.val))
        fields = train.statistics.frequent_fields()
        space = load_space(job.space, job.settings, fields, job.num_seeds)
        _check(job, space)
        labels = find_labels(train.statistics, job.taxonomy, job.read_options.separator)
        refuse_nothing_to_learn(train, labels, job.settings.model.fields or fields, job.settings.training.allow_leaks)
        check_overlap(train, val, fields, job.settings, job.cache_dir)
        if job.tuner == "grid" and space.num_points is not None:
            num_trials = min(job.scheduler.num_trials, space.num_points)
            job = dataclasses.replace(job, scheduler=dataclasses.replace(job.scheduler, num_trials=num_trials))
        with _recorded(job, space) as record:
            oracle = build_oracle(
                job.tuner,
                space,
                job.scheduler.objective,
                job.scheduler.num_trials,
                job.settings.training.seed,
                space.base.training.epochs,
            )
            scheduler = Scheduler(record, oracle, space, _common(job), job.scheduler)
            return _run(job, scheduler, space, console)


def _run(job: SearchJob, scheduler: Scheduler, space: Space, console: Console) -> SearchResult:
    command = ["tune-worker", "--train", str(job.train), "--val", str(job.val), "--work-dir", str(job.folder / "work")]
    command += ["--cache-dir", str(job.cache_dir)]
    if job.taxonomy is not None:
        command += ["--taxonomy", str(job.taxonomy)]
    plans = plan_workers(0 if scheduler.is_done else job.num_workers, usable_core_numbers(), visible_gpus())
    with Chief(scheduler, job.listen) as chief:
        console.print(f"{job.num_workers} workers here, logs in {job.folder / 'logs'}", soft_wrap=True)
        if not job.listen.endswith(":0"):
            console.print(f"remote workers can join: python -m training tune-worker --chief {chief.address} ...")
        workers = LocalWorkers(
            plans,
            [*command, "--chief", chief.address, "--end-with-parent"],
            job.backend,
            job.folder / "logs",
            job.cache_dir,
            scheduler.worker_lost,
            lambda: set(scheduler.running.values()),
        )
        with workers, TrialTable(console, job.scheduler.objective, job.scheduler.num_trials) as table:
            _watch(scheduler, workers, table)
        if not job.listen.endswith(":0"):
            time.sleep(_SHUTDOWN_S)
    return SearchResult(scheduler.snapshot(), space, scheduler.time.used_s, scheduler.failure)


def _watch(scheduler: Scheduler, workers: LocalWorkers, table: TrialTable) -> None:
    """Supervise workers, leases and the table until the search is done."""
    saved_at = time.monotonic()
    try:
        while not scheduler.is_done:
            failure = workers.watch(is_done=False)
            if failure:
                scheduler.stop(failure)
            scheduler.expire()
            if time.monotonic() - saved_at > _SAVE_TIME_S:
                scheduler.time.save()
                saved_at = time.monotonic()
            table.show(scheduler.snapshot(), scheduler.running, scheduler.time.left_s)
            time.sleep(_POLL_S)
    finally:
        scheduler.time.save()
    table.show(scheduler.snapshot(), {}, None)


@contextmanager
def _recorded(job: SearchJob, space: Space) -> Iterator[Record]:
    """Open the folder's record, which has to be new or of the same search."""
    record = Record(job.folder)
    try:
        plan = {
            **dataclasses.asdict(_common(job)),
            "tuner": job.tuner,
            "median_rule": job.scheduler.median_rule,
            "space": space.to_dict(),
        }
        known = record.fact("plan")
        if known is None:
            record.write(facts={"plan": plan})
        elif known != plan:
            raise SettingsError(
                f"{job.folder} holds a search that differs in {', '.join(_differences(known, plan))};"
                " give the same ones to resume it, or another --search"
            )
        yield record
    finally:
        record.close()


def _differences(known: Mapping[str, Any], plan: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for name in sorted(known.keys() | plan.keys()):
        before, after = known.get(name), plan.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{above}{name}.")
        elif before != after:
            found.append(f"{above}{name}")
    return found


def _common(job: SearchJob) -> Job:
    taxonomy = catalog_digest(job.taxonomy) if job.taxonomy is not None else ""
    return Job(
        catalog_digest(job.train),
        catalog_digest(job.val),
        taxonomy,
        job.read_options,
        job.backend,
        job.scheduler.objective,
    )


def _check(job: SearchJob, space: Space) -> None:
    names = [dimension.name for dimension in space.dimensions]
    if job.tuner == "hyperband" and "epochs" in names:
        raise SettingsError("--tuner hyperband sets the epochs itself; take epochs out of the space")
    if not _is_loopback(job.listen):
        _log.warning(
            "--listen %s: anyone who can reach this port can take part in the search; do not expose it", job.listen
        )


def _is_loopback(listen: str) -> bool:
    return listen.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
