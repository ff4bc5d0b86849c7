"""A worker: requests trials from the chief and trains them, one after the other, until there are none."""

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
from training.preparation import Preparation, read_catalogs
from training.tune.scheduling.chief_client import ChiefClient
from training.tune.scheduling.trial_message import Job, Outcome, unpack_spec
from training.tune.workers.trial_training import TrialDropped, TrialTraining
from training.tune.workers.worker_exit import RESTART

_IDLE_S = 0.5
#: Texts of out-of-memory errors; JAX and TensorFlow have no common class for them.
_MEMORY_ERRORS = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OutOfMemory", "out of memory", "Unable to allocate")

_log = logging.getLogger("aisle.tune")


@dataclass(frozen=True)
class WorkerJob:
    """The settings of a worker.

    Args:
        chief: "host:port" of the chief.
        name: unique name of the worker.
        work_dir: folder for rejects files, and for states that Hyperband continues.
        heartbeat_s: interval between heartbeats, seconds.
        patience_s: time without an answer of the chief after which the worker fails, seconds.
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


def run_worker(job: WorkerJob) -> int:
    """Train trials until the chief has no more; return the exit code, RESTART after running out of memory.

    Raises:
        AisleError: the chief cannot be reached, or has other files or another backend.
    """
    client = ChiefClient(job.chief, job.name, job.patience_s)
    common = client.job()
    _check(common, job)
    catalogs = read_catalogs(job.train, job.val, common.read_options, job.taxonomy, job.cache_dir)
    rejects_dir = job.work_dir / "rejects" / job.name  # workers that share a folder must not write the same files
    rejects_dir.mkdir(parents=True, exist_ok=True)
    preparation = Preparation(catalogs, rejects_dir, job.cache_dir)
    while True:
        trial = client.request_trial()
        if trial.status == "STOPPED":
            shutil.rmtree(job.work_dir / "states", ignore_errors=True)
            client.close()
            return 0
        if trial.status == "IDLE":
            time.sleep(_IDLE_S)
            continue
        with _Heartbeat(client, trial.trial_id, job.heartbeat_s) as heartbeat:
            training = TrialTraining(
                preparation, job.work_dir / "states", common.objective, heartbeat.report, heartbeat.last_status
            )
            status, outcome = _outcome(training, trial)
        if outcome is not None:
            client.end_trial(trial.trial_id, status, outcome)
            if status == "INVALID":
                raise KeyboardInterrupt
            if _is_out_of_memory(outcome.error):
                return RESTART


def _outcome(training: TrialTraining, trial: Trial) -> tuple[str, Outcome | None]:
    try:
        return "COMPLETED", training.run(unpack_spec(trial))
    except TrialDropped:
        _log.info("trial %s was given to another worker", trial.trial_id)
        return "", None
    except KeyboardInterrupt:
        return "INVALID", Outcome()
    except Exception as error:  # any error of a training is recorded with the trial
        return "FAILED", Outcome(error="".join(traceback.format_exception(error)).strip())


class _Heartbeat:
    """Sends heartbeats for a trial to the chief, and keeps its last answer."""

    def __init__(self, client: ChiefClient, lease_id: str, heartbeat_s: float):
        self._status = "RUNNING"
        self._client = client
        self._lease_id = lease_id
        self._heartbeat_s = heartbeat_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def last_status(self) -> str:
        """Return the chief's latest answer."""
        return self._status

    def report(self, figures: Mapping[str, float], epoch: int) -> str:
        """Report an epoch's figures."""
        self._status = self._client.report(self._lease_id, figures, epoch)
        return self._status

    def __enter__(self) -> "_Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(self._heartbeat_s):
            try:
                status = self._client.report(self._lease_id, {}, 0)
            except TrainingError as error:
                _log.warning("%s", error)
                continue
            if self._status == "RUNNING":  # a status that ends the trial is final
                self._status = status


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
    return "MemoryError" in error or any(text in error for text in _MEMORY_ERRORS)
