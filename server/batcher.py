"""Work-conserving dynamic batching in front of one program."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from server.batch_times import BatchTimes
from server.errors import AisleError, BatchError, EngineDownError, StoppingError, TooLateError
from server.places import Places
from server.work import Arrays, Batched, Slice, Work, concatenate

_CLOSE_TIMEOUT_S = 10.0

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


class Batcher:
    """Runs rows of many callers together, on one thread of its own.

    An idle program starts at once with what there is (unless the limits name a delay); while it is
    busy, everything that arrives is taken together when it comes back, up to the batch limit. A
    work with more rows than fit is split over several batches. Works whose future was cancelled or
    whose deadline has passed are left out. When a batch fails, each of its works runs once more
    alone, so that a faulty one fails by itself. Then the program runs rows known to be good: when
    it fails with those as well the fault is its own, and the batcher halts.

    Args:
        name: for logs and the thread.
        run: (B, ...) arrays to (B, ...) arrays; called from one thread at a time.
        good_inputs: rows that a sound program answers.
    """

    def __init__(self, name: str, run: Callable[[Arrays], Arrays], limits: BatchLimits, good_inputs: Arrays):
        self.name = name
        self._run_program = run
        self._good_inputs = good_inputs
        self._limits = limits
        self._times = BatchTimes(limits.max_batch_rows)
        self._changed = threading.Condition()
        self._queue: deque[Work] = deque()
        self._places = Places(name, limits.max_queue_rows, limits.max_queue_bytes, self.wait_s)
        self._running: list[Slice] = []
        self._running_since_s = 0.0
        self._num_batches = 0
        self._refusal: AisleError | None = None
        self._thread = threading.Thread(target=self._loop, name=f"batcher-{name}", daemon=True)
        self._thread.start()

    @property
    def times(self) -> BatchTimes:
        """Of the batches so far."""
        return self._times

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._places.items

    @property
    def running_batch(self) -> int | None:
        """A number of its own for the batch that runs now; None when idle."""
        return self._num_batches if self._running else None

    @property
    def fault(self) -> AisleError | None:
        """Why it takes no more work: StoppingError or EngineDownError; None while it does."""
        return self._refusal

    def wait_s(self, more_rows: int = 0) -> float:
        """How long the rows that run and wait, and so many more, will take, seconds."""
        with self._changed:
            running_s = 0.0
            if self._running:
                ran_s = time.perf_counter() - self._running_since_s
                running_s = max(0.0, self._times.seconds(sum(part.num_rows for part in self._running)) - ran_s)
            return running_s + self._times.seconds(self.queued_rows + more_rows)

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
            EngineDownError: it has halted.
            ValueError: the arrays are empty or differ in length.
        """
        lengths = {len(rows) for rows in inputs.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"expected arrays of one length, 1 or more, found lengths {sorted(lengths)}")
        num_rows, num_bytes = lengths.pop(), sum(rows.nbytes for rows in inputs.values())
        work = Work(inputs, num_rows, num_bytes // num_rows, time.perf_counter(), deadline_s)
        work.future.add_done_callback(lambda _: self._drop_rest(work))
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            self._places.take(num_rows, num_rows * work.row_bytes)
            self._queue.append(work)
            self._changed.notify()
        return work.future

    def close(self) -> None:
        """Refuse new work, cancel what waits, and return when the running batch has ended or hangs."""
        with self._changed:
            is_halted = self._refusal is not None
            self._refusal = self._refusal or StoppingError("the server is stopping; send the request to another one")
            waiting = list(self._queue)
            self._changed.notify()
        for work in waiting:
            work.future.cancel()
        self._thread.join(0.0 if is_halted else _CLOSE_TIMEOUT_S)

    def halt(self, fault: EngineDownError) -> None:
        """Refuse new work, and end with `fault` what runs and what waits; the running batch may hang on."""
        with self._changed:
            self._refusal = self._refusal or fault
            works = [*(part.work for part in self._running), *self._queue]
            self._changed.notify()
        for work in works:
            work.finish(fault)

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._queue and self._refusal is None:
                    self._changed.wait()
                if not self._queue:
                    return
                self._wait_for_company()
                batch = self._take_batch()
                self._running, self._running_since_s = batch, time.perf_counter()
                self._num_batches += 1
            if batch:
                self._answer(batch)
            del batch  # or the last callers' arrays would live until the next batch
            self._running = []

    def _wait_for_company(self) -> None:
        """Let a batch fill for as long as the limits allow; the caller holds the lock."""
        start_at_s = self._queue[0].submitted_s + self._limits.max_delay_s
        while self.queued_rows < self._limits.max_batch_rows and self._refusal is None:
            left_s = start_at_s - time.perf_counter()
            if left_s <= 0:
                return
            self._changed.wait(left_s)

    def _take_batch(self) -> list[Slice]:
        """Rows from the head of the queue; the caller holds the lock."""
        batch: list[Slice] = []
        room = self._limits.max_batch_rows
        now_s = time.perf_counter()
        while self._queue and room:
            work = self._queue[0]
            if work.deadline_s <= now_s and not work.future.done():
                work.finish(TooLateError(f"the deadline passed in the {self.name} queue; allow more time"))
            count = 0 if work.future.done() else min(room, work.num_rows - work.taken)
            if count:
                batch.append(Slice(work, work.taken, work.taken + count))
                work.taken += count
                self._places.give_back(count, count * work.row_bytes)
                room -= count
            if work.taken == work.num_rows or count == 0:
                self._queue.popleft()
        return batch

    def _drop_rest(self, work: Work) -> None:
        """Give the places of a cancelled or failed work back at once."""
        if work.taken == work.num_rows:
            return
        with self._changed:
            rest = work.num_rows - work.taken
            self._places.give_back(rest, rest * work.row_bytes)
            work.taken = work.num_rows

    def _answer(self, batch: list[Slice]) -> None:
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
            count = part.num_rows
            part.deliver({name: rows[offset : offset + count] for name, rows in outputs.items()})
            offset += count

    def _answer_failed(self, batch: list[Slice], error: Exception) -> None:
        if len(batch) == 1:
            self._answer_faulty(batch[0], error)
            return
        _log.warning("a %s batch of %d works failed (%r); each runs once more alone", self.name, len(batch), error)
        for part in batch:
            if part.work.future.done():  # left, or halted
                continue
            try:
                part.deliver(self._run([part]))
            except Exception as own_error:
                self._answer_faulty(part, own_error)

    def _answer_faulty(self, part: Slice, error: Exception) -> None:
        """Find out whose fault it is that a slice failed alone."""
        try:
            self._run_checked(self._good_inputs, 1)
        except Exception as fault:
            _log.error("the %s fails with good rows, too (%r); it halts", self.name, fault, exc_info=error)
            self.halt(EngineDownError(f"the {self.name} has failed and is being restarted; send the request again"))
        else:
            part.work.finish(error)

    def _run(self, batch: list[Slice]) -> Arrays:
        num_rows = sum(part.num_rows for part in batch)
        started_s = time.perf_counter()
        outputs = self._run_checked(concatenate([part.inputs for part in batch]), num_rows)
        self._times.add(num_rows, time.perf_counter() - started_s)
        return outputs

    def _run_checked(self, inputs: Arrays, num_rows: int) -> Arrays:
        outputs = self._run_program(inputs)
        for name, rows in outputs.items():
            if len(rows) != num_rows:
                raise BatchError(f"{self.name} was given {num_rows} rows and gave back {len(rows)} of {name}")
        return outputs
