"""The workers on this machine: processes with an equal share of cores, or a GPU each, restarted when they die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.tune.scheduling.scheduler_settings import LOCAL
from training.tune.workers.worker_exit import RESTART

#: A worker that dies this often without having had a trial cannot start at all.
MAX_FAILED_STARTS = 3
_STOP_GRACE_S = 10.0
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True)
class WorkerPlan:
    """The cores and GPU of one worker.

    Args:
        cores: core numbers; empty for all.
        gpu: value of CUDA_VISIBLE_DEVICES, "" for none of its own.
    """

    cores: tuple[int, ...]
    gpu: str = ""


def plan_workers(num_workers: int, cores: Sequence[int], gpus: Sequence[str]) -> list[WorkerPlan]:
    """Divide the cores evenly, each to one worker while there are enough, and assign GPUs in turn."""
    plans = []
    for i in range(num_workers):
        share = tuple(cores[i * len(cores) // num_workers : (i + 1) * len(cores) // num_workers])
        own = share or (cores[i % len(cores)],) if cores else ()
        plans.append(WorkerPlan(own, gpus[i % len(gpus)] if gpus else ""))
    return plans


def visible_gpus() -> list[str]:
    """List the NVIDIA GPUs that this process may use, without loading a library that would take memory on them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    devices = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return sorted((device for device in devices if device.isdigit()), key=int)


@dataclass
class _Worker:
    name: str
    plan: WorkerPlan
    log_path: Path
    process: subprocess.Popen | None = None
    num_starts: int = 0
    num_failed_starts: int = 0
    oom_kills: int = 0
    has_had_trial: bool = field(default=False)


class LocalWorkers:
    """Keeps K worker processes running for the duration of the context.

    A worker ends when its standard input is closed, so that no worker outlives this process, however that dies.

    Args:
        command: arguments of `python -m training` without the worker's name.
        logs_dir: folder for a log file per worker.
        on_lost: called with a worker's name, the reason of its death, and True if its trial would kill the next one.
        running: returns the names of the workers that have a trial.
    """

    def __init__(
        self,
        plans: Sequence[WorkerPlan],
        command: Sequence[str],
        backend: str,
        logs_dir: Path,
        cache_dir: Path,
        on_lost: Callable[[str, str, bool], None],
        running: Callable[[], set[str]],
    ):
        self._command = list(command)
        self._backend = backend
        self._cache_dir = cache_dir
        self._on_lost = on_lost
        self._running = running
        logs_dir.mkdir(parents=True, exist_ok=True)
        self._workers = [_Worker(f"{LOCAL}{i}", plan, logs_dir / f"worker-{i}.log") for i, plan in enumerate(plans)]

    def __enter__(self) -> "LocalWorkers":
        for worker in self._workers:
            self._start(worker)
        return self

    def __exit__(self, *_: object) -> None:
        living = [worker.process for worker in self._workers if worker.process is not None]
        for process in living:
            _close_input(process)
        deadline = time.monotonic() + _STOP_GRACE_S
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def watch(self, is_done: bool) -> str:
        """Restart dead workers unless the search is done; return the error when one cannot start, else ""."""
        busy = self._running()
        for worker in self._workers:
            worker.has_had_trial = worker.has_had_trial or self._identity(worker) in busy
            if worker.process is None or worker.process.poll() is None:
                continue
            code = worker.process.returncode
            _close_input(worker.process)
            worker.process = None
            if code == 0 or is_done:
                continue
            worker.num_failed_starts = 0 if worker.has_had_trial else worker.num_failed_starts + 1
            reason = self._exit_reason(worker, code)
            is_out_of_memory = code == -signal.SIGKILL and _oom_kills() > worker.oom_kills
            self._on_lost(self._identity(worker), reason, is_out_of_memory)
            if worker.num_failed_starts >= MAX_FAILED_STARTS:
                return f"worker {worker.name} cannot start: {reason}"
            self._start(worker)
        return ""

    @property
    def num_alive(self) -> int:
        """Number of running workers."""
        return sum(worker.process is not None for worker in self._workers)

    def _start(self, worker: _Worker) -> None:
        worker.num_starts += 1
        worker.has_had_trial = False
        worker.oom_kills = _oom_kills()
        environment = {**os.environ, "KERAS_BACKEND": self._backend, "TQDM_MININTERVAL": "10"}
        # JAX takes many seconds to compile a network; trials of equal shapes, and later workers, reuse it.
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(self._cache_dir / "jax"))
        if worker.plan.cores:
            environment["OMP_NUM_THREADS"] = str(len(worker.plan.cores))
        if worker.plan.gpu:
            environment["CUDA_VISIBLE_DEVICES"] = worker.plan.gpu
            # With more workers than GPUs, no worker may take a GPU's whole memory.
            environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
            environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        call = [sys.executable, "-m", "training", *self._command, "--name", self._identity(worker)]
        with worker.log_path.open("ab") as log:
            worker.process = subprocess.Popen(
                call,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # only this process handles Ctrl-C
            )
        if worker.plan.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(worker.process.pid, worker.plan.cores)

    @staticmethod
    def _identity(worker: _Worker) -> str:
        """Return a name unique to each start, so that messages of a dead worker are not taken for its successor's."""
        return f"{worker.name}-{os.getpid()}.{worker.num_starts}"

    @staticmethod
    def _exit_reason(worker: _Worker, code: int) -> str:
        if code == RESTART:
            return "it is restarted after running out of memory"
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
        with worker.log_path.open("rb") as log:
            log.seek(max(0, worker.log_path.stat().st_size - _LOG_TAIL_BYTES))
            tail = log.read().decode("utf-8", "replace").strip()
        return f"worker {worker.name} ended {how}; its log {worker.log_path} ends with:\n{tail}"


def _close_input(process: subprocess.Popen) -> None:
    """Close a worker's standard input, which ends it."""
    assert process.stdin is not None
    process.stdin.close()


def _oom_kills() -> int:
    """Return the number of processes killed by the kernel for lack of memory; 0 where the system does not report it."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
