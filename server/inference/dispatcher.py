"""Gives the parts that wait to the engine processes of one model."""

import asyncio

from server.inference.batch_sizes import BatchSizes
from server.inference.engine_process import EngineProcess, ModelDescription
from server.inference.recent_peak import RecentPeak
from server.inference.scheduler import FrameLimits, Scheduler
from server.settings import ServerSettings


class Dispatcher:
    """Fills the engine processes that have room, and lets batches fill meanwhile. Runs on the event loop.

    Args:
        scheduler: the queue.
    Attributes:
        processes: those that answer.
        text_batches, picture_batches: sizes of the batches so far; the latter after `begin`.
    """

    picture_batches: BatchSizes
    _description: ModelDescription
    _num_processes: int

    def __init__(self, settings: ServerSettings, scheduler: Scheduler):
        self.processes: list[EngineProcess] = []
        self.text_batches = BatchSizes(settings.max_batch_items)
        self._scheduler = scheduler
        self._max_items = settings.max_batch_items
        self._peak = RecentPeak()
        self._is_due = False
        self._delayed: asyncio.TimerHandle | None = None

    def begin(self, description: ModelDescription, num_processes: int) -> None:
        """Learn what the processes have loaded, before the first `add`.

        Args:
            num_processes: the number of them when none has ended.
        """
        self._description, self._num_processes = description, num_processes
        self.picture_batches = BatchSizes(description.max_images)

    def add(self, process: EngineProcess) -> None:
        """Give parts to a process from now on."""
        self.processes.append(process)
        self.schedule()

    def expect_callers(self) -> None:
        """Note that parts were queued, and so that their callers may come back as many."""
        self._peak.add(self._num_outstanding)

    def schedule(self) -> None:
        """Fill idle processes once the loop has taken all messages that are there, so that they go together."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_due = False
        if delay_s := self._delay_s():
            if self._delayed is None:
                self._delayed = asyncio.get_running_loop().call_later(delay_s, self._end_delay)
            return
        while any(self._give_frame(process) for process in sorted(self.processes, key=lambda p: len(p.in_flight))):
            pass

    def _delay_s(self) -> float:
        """The time that the next batch is given to fill, seconds.

        None when as many products are here as there were at most lately: their callers wait for answers before they
        send more, and nobody else sends any.
        """
        if self._num_outstanding >= self._peak.value:
            return 0.0
        return self._scheduler.due_in_s(self._max_items, self._description.max_images)

    def _end_delay(self) -> None:
        self._delayed = None
        self._dispatch()

    @property
    def _num_outstanding(self) -> int:
        """Products that wait or are being answered."""
        return self._scheduler.num_queued + sum(process.num_products for process in self.processes)

    def _give_frame(self, process: EngineProcess) -> bool:
        """Send the next parts to a process; return False when it has enough, or nothing waits that it may have."""
        is_for_suspects = process is self._quarantine()
        num_threads, max_images = self._description.num_threads, self._description.max_images
        most = 1 if is_for_suspects else num_threads + 1
        if len(process.in_flight) >= most or process.has_large:
            return False
        is_busy = len(process.in_flight) >= num_threads
        if is_busy and not self._scheduler.has_full_frame(self._max_items, max_images):
            return False  # while it is busy, its next batch fills
        num_large = sum(other.has_large for other in self.processes)
        limits = FrameLimits(
            max_items=self._max_items,
            max_images=max_images,
            num_processes=len(self.processes),
            may_be_large=num_large < max(1, len(self.processes) - 1),  # one process is left for the others
            may_be_suspect=is_for_suspects,
        )
        parts = self._scheduler.take(limits)
        if not parts:
            return False
        for batches, count in (
            (self.text_batches, sum(part.num_texts for part in parts)),
            (self.picture_batches, sum(part.num_pictures for part in parts)),
        ):
            if count:
                batches.add(count)
        process.send(parts)
        return True

    def _quarantine(self) -> EngineProcess | None:
        """The process that is given suspects, one at a time; None while there are none, or no process to go on."""
        is_alone = len(self.processes) == 1 < self._num_processes
        return self.processes[-1] if self.processes and self._scheduler.has_suspects and not is_alone else None
