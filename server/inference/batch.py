"""Submissions of callers to a batcher, and the batches made of them."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class SubmissionResult(Generic[Result]):
    """The results of a submission and its times.

    Args:
        results: one for each item, in order; the exception of an item that failed by itself.
        queue_s: time from `submit` to the start of its first batch, seconds.
        run_s: time from there to the end of its last batch, seconds.
    """

    results: list[Result | Exception]
    queue_s: float
    run_s: float


@dataclass(eq=False)
class Submission(Generic[Item, Result]):
    """The items that one caller submits; `num_taken` of them have left the queue.

    Args:
        item_bytes: mean size of an item, bytes.
        deadline_s: on the clock of `time.perf_counter`, as are all times here.
    """

    items: Sequence[Item]
    item_bytes: int
    submitted_s: float
    deadline_s: float
    future: "Future[SubmissionResult[Result]]" = field(default_factory=Future)
    num_taken: int = 0
    started_s: float = 0.0
    results: dict[int, Result | Exception] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _finishing: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, start: int, results: Sequence[Result | Exception], now_s: float) -> None:
        """Store the results of the items from `start` on; the last ones finish the submission."""
        with self._lock:
            self.results.update(enumerate(results, start))
            is_whole = len(self.results) == len(self.items)
        if is_whole:
            ordered = [self.results[i] for i in range(len(self.items))]
            self.finish(SubmissionResult(ordered, self.started_s - self.submitted_s, now_s - self.started_s))

    def finish(self, outcome: SubmissionResult[Result] | Exception) -> None:
        """Resolve the caller's future, unless it is already resolved or cancelled."""
        if not self._finishing.acquire(blocking=False) or not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, SubmissionResult):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


@dataclass(frozen=True)
class Slice(Generic[Item, Result]):
    """The items [start, stop) of a submission that go into one batch."""

    submission: Submission[Item, Result]
    start: int
    stop: int

    @property
    def items(self) -> Sequence[Item]:
        """The items of the slice."""
        return self.submission.items[self.start : self.stop]


@dataclass(frozen=True)
class Batch(Generic[Item, Result]):
    """Slices of one or more submissions that run together.

    Args:
        number: identifies the batch among those of the batcher.
        started_s: time when it was taken from the queue.
    """

    number: int
    slices: list[Slice[Item, Result]]
    started_s: float

    @property
    def items(self) -> list[Item]:
        """The items of all slices, in order."""
        return [item for part in self.slices for item in part.items]

    @property
    def num_items(self) -> int:
        """Number of items."""
        return sum(part.stop - part.start for part in self.slices)

    def deliver(self, results: Sequence[Result | Exception], now_s: float) -> None:
        """Distribute the results, one for each item, to the submissions."""
        offset = 0
        for part in self.slices:
            count = part.stop - part.start
            part.submission.deliver(part.start, results[offset : offset + count], now_s)
            offset += count
