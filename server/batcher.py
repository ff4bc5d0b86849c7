"""Work-conserving dynamic batching in front of one program."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from server.batch_times import BatchTimes
from server.errors import BatchError, StoppingError, TooLateError
from server.places import Places

Arrays = dict[str, np.ndarray]

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True)
class BatchLimits:
    """How much goes into a batch, how much may wait for it.

    Args:
        max_batch_rows: most rows in one run.
        max_queue_rows, max_queue_bytes: what may wait; a work that does not fit is refused.
        max_delay_s: longest that an idle program waits for a batch to fill, seconds.
    """

    max_batch_rows: int
    max_queue_rows: int
    max_queue_bytes: int
    max_delay_s: float = 0.0


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


@dataclass
class _Work:
    """Rows of one caller; `taken` of them have left the queue, `parts` came back."""

    inputs: Arrays
    num_rows: int
    row_bytes: int
    submitted_s: float
    deadline_s: float
    future: Future[Batched] = field(default_factory=Future)
    taken: int = 0
    parts: list[Arrays] = field(default_factory=list)
    started_s: float = 0.0


@dataclass(frozen=True)
class _Slice:
    """The rows [start, stop) of a work, as they go into one batch."""

    work: _Work
    start: int
    stop: int

    @property
    def inputs(self) -> Arrays:
        return {name: rows[self.start : self.stop] for name, rows in self.work.inputs.items()}


class Batcher:
    """Runs rows of many callers together, on one thread of its own.

    An idle program starts at once with what there is (unless the limits name a delay); while it is
    busy, everything that arrives is taken together when it comes back, up to the batch limit. A
    work with more rows than fit is split over several batches. Works whose future was cancelled or
    whose deadline has passed are left out. When a batch fails, each of its works runs once more
    alone, so that a faulty one fails by itself.

    Args:
        name: for logs and the thread.
        run: (B, ...) arrays to (B, ...) arrays; called from one thread at a time.
    """

    def __init__(self, name: str, run: Callable[[Arrays], Arrays], limits: BatchLimits):
        self.name = name
        self._run_program = run
        self._limits = limits
        self._times = BatchTimes(limits.max_batch_rows)
        self._changed = threading.Condition()
        self._queue: deque[_Work] = deque()
        self._places = Places(name, limits.max_queue_rows, limits.max_queue_bytes, self.wait_s)
        self._running_rows = 0
        self._running_since_s = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name=f"batcher-{name}", daemon=True)
        self._thread.start()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._places.items

    def wait_s(self) -> float:
        """How long the rows that run and wait will take, seconds: the wait of a row that came now."""
        with self._changed:
            running_s = 0.0
            if self._running_rows:
                ran_s = time.perf_counter() - self._running_since_s
                running_s = max(0.0, self._times.seconds(self._running_rows) - ran_s)
            return running_s + self._times.seconds(self.queued_rows)

    def submit(self, inputs: Arrays, deadline_s: float = math.inf) -> Future[Batched]:
        """Queue the rows of one caller.

        Args:
            inputs: arrays of equal length N >= 1, of the same names and row shapes in every work.
            deadline_s: on the clock of `time.perf_counter`; rows that wait until then are not run.
        Returns:
            A future; cancelling it takes the rows out of the queue. It raises what `run` raised,
            BatchError when `run` gave another number of rows, or TooLateError.
        Raises:
            QueueFullError: the queue has no room for N rows.
            StoppingError: the batcher is closed.
            ValueError: the arrays are empty or differ in length.
        """
        lengths = {len(rows) for rows in inputs.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"expected arrays of one length, 1 or more, found lengths {sorted(lengths)}")
        num_rows, num_bytes = lengths.pop(), sum(rows.nbytes for rows in inputs.values())
        work = _Work(inputs, num_rows, num_bytes // num_rows, time.perf_counter(), deadline_s)
        work.future.add_done_callback(lambda _: self._drop_rest(work))
        with self._changed:
            if self._closed:
                raise StoppingError("the server is stopping; send the request to another one")
            self._places.take(num_rows, num_rows * work.row_bytes)
            self._queue.append(work)
            self._changed.notify()
        return work.future

    def close(self) -> None:
        """Refuse new work, cancel what waits, and return when the running batch has ended."""
        with self._changed:
            self._closed = True
            waiting = list(self._queue)
            self._changed.notify()
        for work in waiting:
            work.future.cancel()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    return
                self._wait_for_company()
                batch = self._take_batch()
                self._running_since_s = time.perf_counter()
                self._running_rows = sum(part.stop - part.start for part in batch)
            if batch:
                self._answer(batch)
            self._running_rows = 0
            del batch  # or the last callers' arrays would live until the next batch

    def _wait_for_company(self) -> None:
        """Let a batch fill for as long as the limits allow; the caller holds the lock."""
        start_at_s = self._queue[0].submitted_s + self._limits.max_delay_s
        while self.queued_rows < self._limits.max_batch_rows and not self._closed:
            left_s = start_at_s - time.perf_counter()
            if left_s <= 0:
                return
            self._changed.wait(left_s)

    def _take_batch(self) -> list[_Slice]:
        """Rows from the head of the queue; the caller holds the lock."""
        batch: list[_Slice] = []
        room = self._limits.max_batch_rows
        now_s = time.perf_counter()
        while self._queue and room:
            work = self._queue[0]
            if work.deadline_s <= now_s and not work.future.done():
                _fail(work, TooLateError(f"the deadline passed in the {self.name} queue; allow more time"))
            count = 0 if work.future.done() else min(room, work.num_rows - work.taken)
            if count:
                batch.append(_Slice(work, work.taken, work.taken + count))
                work.taken += count
                self._places.give_back(count, count * work.row_bytes)
                room -= count
            if work.taken == work.num_rows or count == 0:
                self._queue.popleft()
        return batch

    def _drop_rest(self, work: _Work) -> None:
        """Give the places of a cancelled or failed work back at once."""
        if work.taken == work.num_rows:
            return
        with self._changed:
            rest = work.num_rows - work.taken
            self._places.give_back(rest, rest * work.row_bytes)
            work.taken = work.num_rows

    def _answer(self, batch: list[_Slice]) -> None:
        started_s = time.perf_counter()
        for part in batch:
            if part.start == 0:
                part.work.started_s = started_s
        try:
            outputs = self._run(batch)
        except Exception as error:
            self._answer_failed(batch, error)
            return
        offset = 0
        for part in batch:
            count = part.stop - part.start
            _deliver(part, {name: rows[offset : offset + count] for name, rows in outputs.items()})
            offset += count

    def _answer_failed(self, batch: list[_Slice], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch[0].work, error)
            return
        _log.warning("a %s batch of %d works failed (%r); each runs once more alone", self.name, len(batch), error)
        for part in batch:
            try:
                _deliver(part, self._run([part]))
            except Exception as own_error:
                _fail(part.work, own_error)

    def _run(self, batch: list[_Slice]) -> Arrays:
        inputs = _concatenate([part.inputs for part in batch])
        num_rows = sum(part.stop - part.start for part in batch)
        started_s = time.perf_counter()
        outputs = self._run_program(inputs)
        self._times.add(num_rows, time.perf_counter() - started_s)
        for name, rows in outputs.items():
            if len(rows) != num_rows:
                raise BatchError(f"{self.name} was given {num_rows} rows and gave back {len(rows)} of {name}")
        return outputs


def _concatenate(parts: list[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _deliver(part: _Slice, outputs: Arrays) -> None:
    work = part.work
    work.parts.append(outputs)
    if part.stop < work.num_rows:
        return
    try:
        outputs = _concatenate(work.parts)
    except (KeyError, ValueError) as error:
        _fail(work, BatchError(f"the parts of a split work do not fit together: {error}"))
        return
    ended_s = time.perf_counter()
    if work.future.set_running_or_notify_cancel():
        work.future.set_result(Batched(outputs, work.started_s - work.submitted_s, ended_s - work.started_s))


def _fail(work: _Work, error: Exception) -> None:
    if work.future.set_running_or_notify_cancel():
        work.future.set_exception(error)
