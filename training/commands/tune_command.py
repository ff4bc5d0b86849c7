"""The commands `python -m training tune` and `tune-worker`: flags and output."""

import logging
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.logging import RichHandler

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.errors import SettingsError, TrainingError
from model.machine.console import wide_console
from model.settings import Settings
from training.commands.command_parts import FlatSettings
from training.network.noise.requirements import refuse_row_methods
from training.sampling.choice import refuse_sampling
from training.tune.space.space import DEFAULT_SPACE, ready_space

_DEFAULT_TRIALS = 30
#: Trials of a grid without --trials: all.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class TuneCommand:
    """Search for better settings; the same command resumes an interrupted search."""

    train: Path
    """Training catalog: .csv, .tsv, .jsonl or .parquet."""
    val: Path
    """Validation catalog, which ranks the trials; keep another one for the final evaluation."""
    search: Path
    """Folder of the search: its record, logs, best.toml and report.html."""
    trials: int | None = None
    """Most trials; by default 30, of a grid or a study all."""
    tuner: Literal["hyperband", "bayesian", "random", "grid"] = "hyperband"
    """Search algorithm; a study is a grid."""
    space: Path | None = None
    """TOML file with the hyperparameters and their ranges; by default all of them."""
    study: Literal["image-size", "fields", "vocabulary", "backbone"] | None = None
    """A predefined space instead, with a table and a plot at the end."""
    backbones: tuple[str, ...] = ()
    """Backbones of --study backbone."""
    seeds: int = 1
    """Number of trainings of each point of a grid or a study, with consecutive seeds."""
    objective: Literal["joint_accuracy", "macro_f1", "coverage@0.98"] = "joint_accuracy"
    """Metric to maximise on the validation catalog."""
    workers: int = 1
    """Worker processes on this machine, sharing its cores, or with a GPU each; 0 leaves all to tune-worker."""
    budget_minutes: float | None = None
    """Time budget, minutes, earlier runs of the same search included; after it no trial begins and running ones end."""
    early_stop: bool = True
    """End trials that fall below the median of the others (Hyperband has a rule of its own)."""
    max_failures: int = 3
    """Consecutive failed trials that stop the search."""
    listen: str = "127.0.0.1:0"
    """HOST:PORT for workers on other machines."""
    lease_s: float = 60.0
    """Time without a message from a worker after which its trial goes to another one, seconds."""
    bundle: Path | None = None
    """Train the best settings into a bundle here."""
    config: Path | None = None
    """TOML file with the base settings; flags override it."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs and picture features, shared by all trials."""
    settings: FlatSettings = field(default_factory=Settings)
    """Base settings of the trials; the space overrides them."""


@dataclass(frozen=True)
class TuneWorkerCommand:
    """Train trials for a `tune` on another machine, or on this one."""

    chief: str
    """HOST:PORT that the search listens on."""
    train: Path
    """The chief's training catalog."""
    val: Path
    """The chief's validation catalog."""
    taxonomy: Path | None = None
    """The chief's taxonomy file, where it has one."""
    work_dir: Path = Path("tune-work")
    """Folder for rejects files, and for states that Hyperband resumes."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs and picture features."""
    name: str = ""
    """Name of this worker; by default host and process."""
    heartbeat_s: float = 2.0
    """Interval between heartbeats, seconds."""
    patience_minutes: float = 30.0
    """Time to wait for a chief that does not answer, for instance because it is being restarted, minutes."""
    end_with_parent: bool = False
    """End when standard input is closed; for workers that a search starts itself."""


def tune(command: TuneCommand) -> None:
    """Search, write the report, and train the best settings into a bundle when --bundle is given."""
    _check(command)
    from training.tune.workers.light_keras import import_light_keras

    import_light_keras()
    from training.tune.report.results import write_results
    from training.tune.scheduling.scheduler_settings import SchedulerSettings
    from training.tune.search import SearchJob, search

    console = wide_console()
    if console.is_terminal:  # log messages go above the live table
        logging.basicConfig(handlers=[RichHandler(console=console, show_path=False, show_time=False)], force=True)
    is_grid = command.study is not None or command.tuner == "grid"
    tuner = "grid" if is_grid else command.tuner
    scheduler = SchedulerSettings(
        num_trials=command.trials or (_NO_LIMIT if is_grid else _DEFAULT_TRIALS),
        objective=command.objective,
        budget_s=None if command.budget_minutes is None else 60 * command.budget_minutes,
        max_consecutive_failures=command.max_failures,
        lease_s=command.lease_s,
        median_rule=command.early_stop and command.study is None and tuner != "hyperband",
        begins_with_base=not is_grid,
    )
    job = SearchJob(
        train=command.train,
        val=command.val,
        folder=command.search,
        space=_space_file(command),
        num_seeds=command.seeds,
        read_options=command.read_options,
        taxonomy=command.taxonomy,
        cache_dir=command.cache_dir,
        tuner=tuner,
        num_workers=command.workers,
        listen=command.listen,
        backend=os.environ.get("KERAS_BACKEND") or command.settings.training.backend,
        scheduler=scheduler,
        settings=command.settings,
    )
    result = search(job, console)
    write_results(job, result, command.study, console)
    if result.failure:
        raise TrainingError(f"{result.failure}\nthe trials so far are in {command.search}/report.html")
    if command.bundle is not None:
        _train_best(command, command.bundle)


def tune_worker(command: TuneWorkerCommand) -> None:
    """Train trials until the chief has no more."""
    from training.tune.workers.worker_exit import end_with_parent

    if command.end_with_parent:
        end_with_parent()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from training.tune.workers.worker import WorkerJob, run_worker

    name = command.name or f"{socket.gethostname()}-{os.getpid()}"
    job = WorkerJob(
        chief=command.chief,
        name=name,
        train=command.train,
        val=command.val,
        taxonomy=command.taxonomy,
        work_dir=command.work_dir,
        cache_dir=command.cache_dir,
        heartbeat_s=command.heartbeat_s,
        patience_s=60 * command.patience_minutes,
    )
    code = run_worker(job)
    if code:
        raise SystemExit(code)


def _check(command: TuneCommand) -> None:
    refuse_row_methods(command.settings.noise)
    refuse_sampling(command.settings.sampling)
    for name, minimum in (("trials", 1), ("seeds", 1), ("workers", 0), ("max_failures", 1)):
        value = getattr(command, name)
        if value is not None and value < minimum:
            raise SettingsError(f"--{name.replace('_', '-')}: expected {minimum} or more, found {value}")
    if command.budget_minutes is not None and command.budget_minutes <= 0:
        raise SettingsError(f"--budget-minutes: expected more than 0, found {command.budget_minutes}")
    if command.study is not None and command.space is not None:
        raise SettingsError("--study brings a space of its own; leave out --space, or --study")
    if command.backbones and command.study != "backbone":
        raise SettingsError("--backbones belongs to --study backbone; in a space file write [image] backbone")
    if command.seeds > 1 and command.study is None and command.tuner != "grid":
        raise SettingsError("--seeds repeats the points of a grid; give --tuner grid or a --study")


def _space_file(command: TuneCommand) -> Path:
    if not command.backbones:
        return command.space or ready_space(command.study or DEFAULT_SPACE)
    path = command.search / "space.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f'"{name}"' for name in command.backbones)
    path.write_text(f"[image]\nbackbone = {{ choice = [{names}] }}\n", encoding="utf-8")
    return path


def _train_best(command: TuneCommand, bundle: Path) -> None:
    """Train the best settings with the `train` command, in a process of its own, because this one has no network."""
    best = command.search / "best.toml"
    work_dir = command.search / "work" / "bundle"
    if not (work_dir / "best.toml").exists() or (work_dir / "best.toml").read_bytes() != best.read_bytes():
        shutil.rmtree(work_dir, ignore_errors=True)  # the state of a training with other settings
        work_dir.mkdir(parents=True)
        shutil.copyfile(best, work_dir / "best.toml")
    call = [sys.executable, "-m", "training", "train", "--config", str(best), "--resume"]
    call += ["--train", str(command.train), "--val", str(command.val), "--bundle", str(bundle)]
    call += ["--work-dir", str(work_dir), "--cache-dir", str(command.cache_dir)]
    call += command.read_options.flags()
    if command.taxonomy is not None:
        call += ["--taxonomy", str(command.taxonomy)]
    code = subprocess.run(call, check=False).returncode
    if code:
        raise TrainingError(f"training {best} ended with exit code {code}; its message is above")
