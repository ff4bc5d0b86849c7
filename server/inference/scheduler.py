"""Chooses which parts of requests an engine process answers next."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.errors import DeadlineExceededError
from server.inference.cost_model import CostModel
from server.inference.fair_queue import FairQueue
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.inference.part import Part
from server.inference.queue_limits import QueueLimits
from server.settings import ServerSettings

#: Expected time of a frame: longer ones keep others waiting, shorter ones leave batches small. The processes share what
#: waits, in frames of no less than the shorter time, unless a whole frame waits: then the batch counts.
_MAX_FRAME_S = 0.048
_MIN_FRAME_S = 0.016
_FRAME_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class FrameLimits:
    """What an engine process may be given next.

    Args:
        max_items, max_images: most products, and most of them with a picture.
        num_processes: those that share what waits.
        may_be_large: whether it may be a large picture.
        may_be_suspect: whether it may be a part that an engine process ended with.
    """

    max_items: int
    max_images: int
    num_processes: int
    may_be_large: bool
    may_be_suspect: bool


@dataclass
class _Lane:
    """Queued parts of one kind; `used_s` is the time that its callers have had, each."""

    queue: FairQueue[Part] = field(default_factory=FairQueue)
    used_s: float = 0.0

    def charge(self, part: Part) -> None:
        self.used_s += part.cost_s / (self.queue.num_callers or 1)


class Scheduler:
    """The parts that wait for the engine processes of one model. Not thread-safe.

    Large pictures wait in a lane of their own, because they may have to wait for memory.

    Args:
        memory: what large pictures are decoded in.
    """

    def __init__(self, settings: ServerSettings, memory: MemoryBudget):
        self.costs = CostModel()
        self._memory = memory
        self._delay_s = settings.max_queue_delay_ms / 1000
        self._usual, self._large = _Lane(), _Lane()
        self._suspects: deque[Part] = deque()
        self._returned: deque[Part] = deque()
        self._queued_s = 0.0
        self.texts = QueueLimits("text", settings.max_queue_items, settings.max_queue_bytes)
        self.pictures = QueueLimits("picture", settings.max_queue_images, settings.max_queue_bytes)

    @property
    def queued_s(self) -> float:
        """The expected time of what waits on one engine process, seconds."""
        return self._queued_s

    def wait_s(self, caller: str, parts: Sequence[Part]) -> float:
        """The expected time that others have before a new request is through, on one engine process, seconds."""
        cost_s = sum(map(self.costs.seconds, parts))
        return self._usual.queue.wait_s(caller, cost_s)

    @property
    def num_queued(self) -> int:
        """Products that wait."""
        return self.texts.items + self.pictures.items

    @property
    def has_suspects(self) -> bool:
        """True while parts wait that an engine process ended with."""
        return bool(self._suspects)

    def submit(self, parts: Sequence[Part], wait_s: float) -> None:
        """Queue the parts of one request.

        Args:
            wait_s: expected time until the queue is empty; becomes the retry delay.
        Raises:
            QueueFullError: there is no room for all of them; none is queued.
        """
        self.texts.check(sum(part.num_texts for part in parts), sum(map(_text_bytes, parts)), wait_s)
        self.pictures.check(sum(part.num_pictures for part in parts), sum(map(_picture_bytes, parts)), wait_s)
        for part in parts:
            self.enqueue(part)

    def enqueue(self, part: Part) -> None:
        """Queue a part that was admitted before, whether there is room or not."""
        self._enter(part)
        lane = self._large if part.is_large else self._usual
        if not len(lane.queue):  # time in which nothing waited is not saved up
            lane.used_s = max(self._usual.used_s, self._large.used_s)
        lane.queue.push(part.caller, part.call, part, part.cost_s)

    def requeue(self, part: Part) -> None:
        """Queue a part again that waited in an engine process that ended; it comes first, unless it is a large one."""
        if part.is_large:
            self.enqueue(part)
            return
        self._enter(part)
        self._returned.append(part)

    def suspect(self, part: Part) -> None:
        """Queue a part that an engine process ended with; it is given to another one alone."""
        self._enter(part)
        self._suspects.append(part)

    def withdraw(self, part: Part) -> None:
        """Stop counting a part that nobody waits for any more."""
        part.is_over = True
        self._leave(part)

    def withdraw_all(self) -> list[Part]:
        """Empty the queue; return the parts that waited in it."""
        waiting = [*self._suspects, *self._returned]
        self._suspects.clear()
        self._returned.clear()
        for lane in (self._usual, self._large):
            while len(lane.queue):
                waiting.append(lane.queue.pop())
        for part in waiting:
            self._leave(part)
        return [part for part in waiting if not part.is_over]

    def has_full_frame(self, max_items: int, max_images: int) -> bool:
        """True when so much waits that another frame would be full."""
        is_long = self._queued_s >= _MAX_FRAME_S
        return is_long or self.texts.items >= max_items or self.pictures.items >= max_images

    def due_in_s(self, max_items: int, max_images: int) -> float:
        """Time until `take` should be called, seconds: a batch is given time to fill where the settings say so."""
        if not self._delay_s or not len(self._usual.queue) or self._returned:
            return 0.0
        if self.has_full_frame(max_items, max_images):
            return 0.0
        return max(0.0, self._usual.queue.first().submitted_s + self._delay_s - time.perf_counter())

    def take(self, limits: FrameLimits) -> list[Part]:
        """Take the parts of the next frame; none when nothing waits that the limits allow.

        A part that has to be alone in its frame comes alone: a suspect, and one with a large picture, whose memory is
        reserved until `release_memory`.
        """
        if limits.may_be_suspect and (suspect := self._take_suspect()):
            return [suspect]
        if limits.may_be_large and (large := self._take_large()):
            return [large]
        parts: list[Part] = []
        num_items = num_images = 0
        num_bytes, seconds = 0, 0.0
        max_s = _MAX_FRAME_S
        if not self.has_full_frame(limits.max_items, limits.max_images):
            max_s = max(self._queued_s / limits.num_processes, _MIN_FRAME_S)
        while part := self._first_usual():
            num_bytes += len(part.content)
            num_items += part.num_products
            num_images += part.num_pictures
            seconds += part.cost_s
            is_long = seconds > max_s or num_bytes > _FRAME_BYTES
            is_full = is_long or num_items > limits.max_items or num_images > limits.max_images
            if parts and is_full:
                break
            parts.append(self._pop_usual())
        return parts

    def release_memory(self, part: Part) -> None:
        """Give back the memory that a large picture was decoded in."""
        if part.is_large:
            self._memory.release(MemoryUse.PICTURES, part.decode_bytes)

    def _take_large(self) -> Part | None:
        """The next large part, when its callers have had no more time than the others and there is memory."""
        lane = self._large
        while len(lane.queue) and not self._is_wanted(lane.queue.first()):
            self._leave(lane.queue.pop())
        is_their_turn = lane.used_s <= self._usual.used_s or self._first_usual() is None
        if not len(lane.queue) or not is_their_turn:
            return None
        if not self._memory.reserve(MemoryUse.PICTURES, lane.queue.first().decode_bytes):
            return None
        lane.charge(lane.queue.first())
        part = lane.queue.pop()
        self._leave(part)
        return part

    def _first_usual(self) -> Part | None:
        """The next part of the usual ones, without taking it; those that nobody waits for are dropped."""
        while self._returned and not self._is_wanted(self._returned[0]):
            self._leave(self._returned.popleft())
        if self._returned:
            return self._returned[0]
        queue = self._usual.queue
        while len(queue) and not self._is_wanted(queue.first()):
            self._leave(queue.pop())
        return queue.first() if len(queue) else None

    def _pop_usual(self) -> Part:
        """Take what `_first_usual` returned."""
        if self._returned:
            part = self._returned.popleft()
        else:
            self._usual.charge(self._usual.queue.first())
            part = self._usual.queue.pop()
        self._leave(part)
        return part

    def _take_suspect(self) -> Part | None:
        while self._suspects and not self._is_wanted(self._suspects[0]):
            self._leave(self._suspects.popleft())
        if not self._suspects:
            return None
        if self._suspects[0].is_large and not self._memory.reserve(MemoryUse.PICTURES, self._suspects[0].decode_bytes):
            return None
        part = self._suspects.popleft()
        self._leave(part)
        return part

    def _is_wanted(self, part: Part) -> bool:
        """False for a part that nobody waits for, or whose deadline has passed; its owner learns of that."""
        if not part.is_over and part.deadline_s <= time.perf_counter():
            part.is_over = True
            part.owner.on_error(part, DeadlineExceededError("the deadline passed in the queue; allow more time"))
        return not part.is_over

    def _enter(self, part: Part) -> None:
        part.is_queued = True
        part.cost_s = self.costs.seconds(part)
        self._queued_s += part.cost_s
        self.texts.add(part.num_texts, _text_bytes(part))
        self.pictures.add(part.num_pictures, _picture_bytes(part))

    def _leave(self, part: Part) -> None:
        if not part.is_queued:
            return
        part.is_queued = False
        self._queued_s -= part.cost_s
        self.texts.release(part.num_texts, _text_bytes(part))
        self.pictures.release(part.num_pictures, _picture_bytes(part))


def _text_bytes(part: Part) -> int:
    return 0 if part.num_pictures else len(part.content)


def _picture_bytes(part: Part) -> int:
    return len(part.content) if part.num_pictures else 0
