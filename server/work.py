"""What waits in a batcher: the rows of one caller, and the answer they wait for."""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from server.errors import BatchError

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batched:
    """What became of one submitted work.

    Args:
        outputs: the program's arrays, one row for each submitted row, in order.
        queue_s: from `submit` to the start of its first batch, seconds.
        run_s: from there to the end of its last batch, seconds.
    """

    outputs: Arrays
    queue_s: float
    run_s: float


@dataclass(eq=False)
class Work:
    """Rows of one caller; `taken` of them have left the queue, `parts` came back.

    Args:
        deadline_s: on the clock of `time.perf_counter`, as all times here.
    """

    inputs: Arrays
    num_rows: int
    row_bytes: int
    submitted_s: float
    deadline_s: float
    future: Future[Batched] = field(default_factory=Future)
    taken: int = 0
    parts: list[Arrays] = field(default_factory=list)
    started_s: float = 0.0
    _finishing: threading.Lock = field(default_factory=threading.Lock)

    def finish(self, answer: Batched | Exception) -> None:
        """Give the caller an answer, unless there was one or nobody waits."""
        if not self._finishing.acquire(blocking=False) or not self.future.set_running_or_notify_cancel():
            return
        if isinstance(answer, Batched):
            self.future.set_result(answer)
        else:
            self.future.set_exception(answer)


@dataclass(frozen=True)
class Slice:
    """The rows [start, stop) of a work, as they go into one batch."""

    work: Work
    start: int
    stop: int

    @property
    def num_rows(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def inputs(self) -> Arrays:
        """Those rows."""
        return {name: rows[self.start : self.stop] for name, rows in self.work.inputs.items()}

    def deliver(self, outputs: Arrays) -> None:
        """Take the rows that came back; the last slice finishes the work."""
        work = self.work
        work.parts.append(outputs)
        if self.stop < work.num_rows:
            return
        try:
            outputs = concatenate(work.parts)
        except (KeyError, ValueError) as error:
            work.finish(BatchError(f"the parts of a split work do not fit together: {error}"))
            return
        ended_s = time.perf_counter()
        work.finish(Batched(outputs, work.started_s - work.submitted_s, ended_s - work.started_s))


def concatenate(parts: list[Arrays]) -> Arrays:
    """Rows after rows, by name; a single part is not copied."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
