"""Work-conserving dynamic batching in front of one function."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic

from server.errors import AisleError, BatchError, DeadlineExceededError, EngineDownError, StoppingError
from server.inference.batch import Batch, Item, Result, Slice, Submission, SubmissionResult
from server.inference.batch_times import BatchTimes
from server.inference.queue_limits import QueueLimits

_CLOSE_TIMEOUT_S = 10.0

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True)
class BatchLimits:
    """Limits of a batch and of the queue in front of it.

    Args:
        max_batch_items: most items in one batch.
        max_queue_items, max_queue_bytes: limits of the queue; a submission over them is rejected.
        max_delay_s: longest that an idle worker waits for a batch to fill, seconds.
        min_share: fewest items worth another worker: while a batch runs, fewer items wait for its end, and idle
            workers that share the queue take at least this many each.
        all_share: count busy workers when the queue is shared, too, so that batches stay small while it is short;
            for items that gain little from a batch and would only wait for each other.
    """

    max_batch_items: int
    max_queue_items: int
    max_queue_bytes: int
    max_delay_s: float = 0.0
    min_share: int = 1
    all_share: bool = False


class Batcher(Generic[Item, Result]):
    """Runs items of many callers together, on worker threads of its own.

    While nothing runs, a worker starts at once with the queued items (unless the limits set a delay); while all are
    busy, the next free worker takes everything that has arrived, up to the batch limit (unless all share). A
    submission with more items than fit is split over several batches. Submissions whose future was cancelled or
    whose deadline has passed are skipped. When a batch fails, each of its items is run again alone, so that a faulty
    one fails by itself. Then an item known to be good is run: when that fails as well, the engine is at fault and the
    batcher halts.

    Args:
        name: used in logs, error texts and thread names.
        run: returns one result for each item, in order, or the exception that is its outcome; called from
            `num_workers` threads.
        good_item: an item that a working engine answers.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[list[Item]], Sequence[Result | Exception]],
        limits: BatchLimits,
        good_item: Item,
        num_workers: int = 1,
    ):
        self.name = name
        self._run_items = run
        self._good_item = good_item
        self._limits = limits
        self._times = BatchTimes(limits.max_batch_items)
        self._changed = threading.Condition()
        self._queue: deque[Submission[Item, Result]] = deque()
        self._queue_limits = QueueLimits(name, limits.max_queue_items, limits.max_queue_bytes, self.wait_s)
        self._running: dict[int, Batch[Item, Result]] = {}
        self._num_idle = 0
        self._num_batches = 0
        self._fault: AisleError | None = None
        self._workers = [
            threading.Thread(target=self._loop, name=f"{name}-{i}", daemon=True) for i in range(num_workers)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def times(self) -> BatchTimes:
        """Times of the batches so far."""
        return self._times

    @property
    def num_queued(self) -> int:
        """Number of items in the queue."""
        return self._queue_limits.items

    @property
    def fault(self) -> AisleError | None:
        """The reason why it accepts no more submissions: StoppingError or EngineDownError; None while it does."""
        return self._fault

    def wait_s(self, more_items: int = 0) -> float:
        """Estimate the time until the running and queued items, and `more_items`, are finished, seconds."""
        num_workers = len(self._workers)
        with self._changed:
            running_s = 0.0
            if len(self._running) == num_workers:
                now_s = time.perf_counter()
                left_s = (
                    max(0.0, self._times.seconds(batch.num_items) - (now_s - batch.started_s))
                    for batch in self._running.values()
                )
                running_s = sum(left_s) / num_workers
            return running_s + self._times.seconds(math.ceil((self.num_queued + more_items) / num_workers))

    def submit(
        self, items: Sequence[Item], num_bytes: int, deadline_s: float = math.inf
    ) -> "Future[SubmissionResult[Result]]":
        """Queue the items of one caller.

        Args:
            items: 1 or more.
            num_bytes: their size in the queue, bytes.
            deadline_s: on the clock of `time.perf_counter`; items that are still queued then are not run.
        Returns:
            A future; cancelling it removes the items from the queue. It raises DeadlineExceededError,
            EngineDownError, or BatchError when `run` returned another number of results.
        Raises:
            QueueFullError: the queue has no room for the items.
            StoppingError: the batcher is closed.
            EngineDownError: it has halted.
            ValueError: there are no items.
        """
        if not items:
            raise ValueError("expected 1 item or more, found none")
        submission: Submission[Item, Result] = Submission(
            items, num_bytes // len(items), time.perf_counter(), deadline_s
        )
        submission.future.add_done_callback(lambda _: self._release_rest(submission))
        with self._changed:
            if self._fault is not None:
                raise self._fault
            self._queue_limits.reserve(len(items), len(items) * submission.item_bytes)
            self._queue.append(submission)
            if self._limits.max_delay_s or self._is_due():  # otherwise an idle worker would wake for nothing
                self._changed.notify()
        return submission.future

    def close(self) -> None:
        """Reject new submissions, cancel queued ones, and return when the running batches have ended or hang."""
        with self._changed:
            is_halted = self._fault is not None
            self._fault = self._fault or StoppingError("the server is stopping; send the request to another one")
            waiting = list(self._queue)
            self._changed.notify_all()
        for submission in waiting:
            submission.future.cancel()
        for worker in self._workers:
            worker.join(0.0 if is_halted else _CLOSE_TIMEOUT_S)

    def halt(self, fault: EngineDownError) -> None:
        """Reject new submissions, and fail running and queued ones with `fault`; does not wait for running batches."""
        with self._changed:
            self._fault = self._fault or fault
            submissions = [part.submission for batch in self._running.values() for part in batch.slices]
            submissions += self._queue
            self._changed.notify_all()
        for submission in submissions:
            submission.finish(fault)

    def _loop(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch.slices:
                self._answer(batch)
                with self._changed:
                    del self._running[batch.number]
            del batch  # otherwise the last callers' items would stay in memory until the next batch

    def _next_batch(self) -> Batch[Item, Result] | None:
        """Wait for queued items and take the next batch; return None once the batcher is closed or halted."""
        with self._changed:
            self._num_idle += 1
            while not self._is_due() and self._fault is None:
                self._changed.wait()
                self._wait_for_full_batch()
            slices, expired = self._take_slices()
            self._num_idle -= 1
            if self._queue:
                self._changed.notify()
            is_over = not slices and self._fault is not None
            self._num_batches += 1
            batch = Batch(self._num_batches, slices, time.perf_counter())
            if slices:
                self._running[batch.number] = batch
        for submission in expired:  # without the lock, because this runs callbacks
            submission.finish(DeadlineExceededError(f"the deadline passed in the {self.name} queue; allow more time"))
        return None if is_over else batch

    def _is_due(self) -> bool:
        """Return True when an idle worker should start now; the caller holds the lock."""
        is_worth_it = not self._running or self.num_queued >= self._limits.min_share
        return bool(self._queue) and is_worth_it

    def _wait_for_full_batch(self) -> None:
        """Let a batch fill for as long as the limits allow; the caller holds the lock."""
        while self._queue and self.num_queued < self._limits.max_batch_items and self._fault is None:
            left_s = self._queue[0].submitted_s + self._limits.max_delay_s - time.perf_counter()
            if left_s <= 0:
                return
            self._changed.wait(left_s)

    def _take_slices(self) -> tuple[list[Slice[Item, Result]], list[Submission[Item, Result]]]:
        """Take items from the head of the queue; also return expired submissions. The caller holds the lock."""
        slices: list[Slice[Item, Result]] = []
        expired: list[Submission[Item, Result]] = []
        room = self._room()
        now_s = time.perf_counter()
        while self._queue and room:
            submission = self._queue[0]
            is_expired = submission.deadline_s <= now_s
            if is_expired:
                expired.append(submission)
            count = (
                0 if is_expired or submission.future.done() else min(room, len(submission.items) - submission.num_taken)
            )
            if count:
                submission.started_s = submission.started_s or now_s
                slices.append(Slice(submission, submission.num_taken, submission.num_taken + count))
                submission.num_taken += count
                self._queue_limits.release(count, count * submission.item_bytes)
                room -= count
            if submission.num_taken == len(submission.items) or count == 0:
                self._queue.popleft()
        return slices, expired

    def _room(self) -> int:
        """Return the most items of the next batch; the caller holds the lock and counts as idle."""
        limits = self._limits
        if limits.max_delay_s:  # with a delay, batches are meant to be full
            return limits.max_batch_items
        num_sharing = len(self._workers) if limits.all_share else self._num_idle
        share = max(math.ceil(self.num_queued / num_sharing), limits.min_share)
        return min(share, limits.max_batch_items)

    def _release_rest(self, submission: Submission[Item, Result]) -> None:
        """Release the queue room of a cancelled or failed submission at once."""
        if submission.num_taken == len(submission.items):
            return
        with self._changed:
            rest = len(submission.items) - submission.num_taken
            self._queue_limits.release(rest, rest * submission.item_bytes)
            submission.num_taken = len(submission.items)

    def _answer(self, batch: Batch[Item, Result]) -> None:
        items = batch.items
        results: Sequence[Result | Exception] | None
        try:
            results = self._run(items)
            with self._changed:
                self._times.add(len(items), time.perf_counter() - batch.started_s)
        except Exception as error:
            results = self._run_alone(items, error)
        if results is not None:
            batch.deliver(results, time.perf_counter())

    def _run_alone(self, items: list[Item], error: Exception) -> list[Result | Exception] | None:
        """Run each item of a failed batch alone; return None when the engine is at fault."""
        if len(items) > 1:
            _log.warning("a %s batch of %d failed (%r); each item is run again alone", self.name, len(items), error)
        results: list[Result | Exception] = []
        works = False
        for item in items:
            try:
                if len(items) == 1:
                    raise error
                results += self._run([item])
            except Exception as own_error:
                if not (works := works or self._engine_works(own_error)):
                    return None
                results.append(own_error)
        return results

    def _engine_works(self, error: Exception) -> bool:
        """Return True when a good item is answered after another one failed with `error`; otherwise halt."""
        try:
            self._run([self._good_item])
        except Exception as fault:
            _log.error(
                "the %s engine fails with a good item, too (%r); the batcher halts", self.name, fault, exc_info=error
            )
            self.halt(
                EngineDownError(f"the {self.name} engine has failed and is being restarted; send the request again")
            )
            return False
        return True

    def _run(self, items: list[Item]) -> Sequence[Result | Exception]:
        try:
            results = self._run_items(items)
        except Exception:
            raise
        except BaseException as ended:  # it would end this thread, and whoever waits for the lane would wait for ever
            raise BatchError(f"the {self.name} engine tried to end its thread: {ended!r}") from ended
        if len(results) != len(items):
            raise BatchError(f"the {self.name} engine was given {len(items)} items and returned {len(results)} results")
        return results
