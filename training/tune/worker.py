"""A worker: asks the chief for trials and trains them, one after the other, until there are none."""

import logging
import shutil
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
from keras_tuner.engine.trial import Trial

from catalog.rows import catalog_digest
from model.errors import CatalogError, SettingsError, TrainingError
from training.preparation import Catalogs, Preparation
from training.tune.chief_client import ChiefClient
from training.tune.trial_message import Job, Outcome, unpack_order
from training.tune.trial_training import TrialDropped, TrialTraining
from training.tune.worker_exit import START_AFRESH

_IDLE_S = 0.5
#: What the backends call it; JAX and TensorFlow have no common class for it.
_MEMORY_WORDS = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OutOfMemory", "out of memory", "Unable to allocate")

_log = logging.getLogger("aisle.tune")


@dataclass(frozen=True)
class WorkerJob:
    """Who works for whom.

    Args:
        chief: "host:port".
        name: told apart by it from the other workers.
        work_dir: rejects files, and states that Hyperband goes on with.
        heartbeat_s: between signs of life.
        patience_s: so long without a chief, and the worker gives up.
    """

    chief: str
    name: str
    train: Path
    val: Path
    taxonomy: Path | None
    work_dir: Path
    cache_dir: Path
    heartbeat_s: float
    patience_s: float


def work(job: WorkerJob) -> int:
    """Train trials until the chief has no more; returns the exit code, START_AFRESH after memory ran out.

    Raises:
        AisleError: the chief cannot be reached, or works on other files or another backend.
    """
    client = ChiefClient(job.chief, job.name, job.patience_s)
    common = client.job()
    _check(common, job)
    catalogs = Catalogs(job.train, job.val, common.columns, job.taxonomy)
    rejects_dir = job.work_dir / "rejects" / job.name  # workers that share a folder must not write the same files
    rejects_dir.mkdir(parents=True, exist_ok=True)
    preparation = Preparation(catalogs, rejects_dir, job.cache_dir)
    while True:
        trial = client.ask()
        if trial.status == "STOPPED":
            shutil.rmtree(job.work_dir / "states", ignore_errors=True)
            client.close()
            return 0
        if trial.status == "IDLE":
            time.sleep(_IDLE_S)
            continue
        with _Heart(client, trial.trial_id, job.heartbeat_s) as heart:
            training = TrialTraining(
                preparation, job.work_dir / "states", common.objective, heart.report, heart.last_word
            )
            status, outcome = _outcome(training, trial)
        if outcome is not None:
            client.end(trial.trial_id, status, outcome)
            if status == "INVALID":
                raise KeyboardInterrupt
            if _is_out_of_memory(outcome.error):
                return START_AFRESH


def _outcome(training: TrialTraining, trial: Trial) -> tuple[str, Outcome | None]:
    try:
        return "COMPLETED", training.run(unpack_order(trial))
    except TrialDropped:
        _log.info("trial %s was given to another worker", trial.trial_id)
        return "", None
    except KeyboardInterrupt:
        return "INVALID", Outcome()
    except Exception as error:  # whatever a training can die of belongs into the trial's record
        return "FAILED", Outcome(error="".join(traceback.format_exception(error)).strip())


class _Heart:
    """Tells the chief at intervals that a trial is alive, and keeps its last answer."""

    def __init__(self, client: ChiefClient, lease_id: str, heartbeat_s: float):
        self.word = "RUNNING"
        self._client = client
        self._lease_id = lease_id
        self._heartbeat_s = heartbeat_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def last_word(self) -> str:
        """The chief's newest answer."""
        return self.word

    def report(self, figures: Mapping[str, float], epoch: int) -> str:
        """Tell an epoch's figures."""
        self.word = self._client.report(self._lease_id, figures, epoch)
        return self.word

    def __enter__(self) -> "_Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(self._heartbeat_s):
            try:
                word = self._client.report(self._lease_id, {}, 0)
            except TrainingError as error:
                _log.warning("%s", error)
                continue
            if self.word == "RUNNING":  # what stops a trial is not taken back
                self.word = word


def _check(common: Job, job: WorkerJob) -> None:
    backend = keras.backend.backend()
    if backend != common.backend:
        raise SettingsError(
            f"the search trains with {common.backend}, this worker has {backend}; start it with"
            f" KERAS_BACKEND={common.backend}"
        )
    wanted = {"train": common.train, "val": common.val, "taxonomy": common.taxonomy}
    for name, path in (("train", job.train), ("val", job.val), ("taxonomy", job.taxonomy)):
        if (catalog_digest(path) if path is not None else "") != wanted[name]:
            raise CatalogError(
                f"--{name}: expected the chief's file, found {path or 'none'} with other content; copy it from there"
            )


def _is_out_of_memory(error: str) -> bool:
    return "MemoryError" in error or any(word in error for word in _MEMORY_WORDS)
