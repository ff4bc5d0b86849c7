"""Tasks that are worked on at the same time, each leaving a file, so that what is finished is found again."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from labeling.settings import LinearSettings
from model.errors import LabelingError
from model.machine.cores import usable_cores
from model.machine.worker_process import serve_parent

#: Fewer rows of all tasks are worked on in this process.
_FEW_ROWS = 20_000
_POLL_S = 0.5
_KEY_FILE = "key.txt"
#: A worker process' own.
_process: dict[str, Any] = {}

OnProgress = Callable[[float], object]


class Task(Protocol):
    """A piece of work that another process can do."""

    @property
    def num_rows(self) -> int:
        """Rows to learn from and to answer."""

    def run(self, on_progress: OnProgress) -> None:
        """Do it and write its file.

        Args:
            on_progress: called with the rows done since the last call.
        """


def run_tasks(tasks: Sequence[Task], desc: str, settings: LinearSettings) -> None:
    """Work in processes of their own; here, where one task is left or they would take longer to start.

    Args:
        desc: before the progress bar.
    Raises:
        LabelingError: the disk refused, or a process was killed; finished files stay.
    """
    num_processes = settings.num_processes or usable_cores()
    num_rows = sum(task.num_rows for task in tasks)
    with tqdm(desc=desc, total=num_rows, unit=" rows", unit_scale=True, disable=not tasks) as bar:
        if min(num_processes, len(tasks)) <= 1 or num_rows < _FEW_ROWS:
            for task in tasks:
                task.run(lambda rows: bar.update(min(rows, num_rows - bar.n)))  # sums of shares are a little more
            return
        context = multiprocessing.get_context("spawn")
        done_rows = context.Value("q", 0)
        try:
            with ProcessPoolExecutor(num_processes, context, _start_process, (done_rows,)) as pool:
                running = [pool.submit(_run_in_process, task) for task in tasks]
                while running:
                    finished, left = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                    running = list(left)
                    bar.update(int(done_rows.value) - bar.n)
        except BrokenProcessPool as error:
            raise LabelingError(
                "a process that learns was killed, most likely for want of memory; what is finished is kept: run the"
                " same command again with --num-processes 1 or a smaller --max-train-rows"
            ) from error


def keep_only(folder: Path, pattern: str, key: Mapping[str, Any]) -> None:
    """Remove files that were computed from something else.

    Args:
        pattern: of the files.
        key: of what they are computed from.
    Raises:
        LabelingError: the disk refuses.
    """
    note, text = folder / _KEY_FILE, hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not note.exists() or note.read_text(encoding="ascii") != text:
            for file in folder.glob(pattern):
                file.unlink()
            note.write_text(text, encoding="ascii")
    except OSError as error:
        raise LabelingError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error


def _start_process(done_rows: Any) -> None:
    serve_parent()
    _process["done_rows"] = done_rows


def _run_in_process(task: Task) -> None:
    counter = _process["done_rows"]

    def advance(num_rows: float) -> None:
        with counter.get_lock():
            counter.value += round(num_rows)

    task.run(advance)
