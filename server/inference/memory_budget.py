"""The memory that requests may take, in all: messages in flight, queued parts and the pixels of large pictures."""

import threading
from collections.abc import Iterable
from enum import StrEnum

from model.machine.memory import memory_limit_bytes, resident_bytes

#: Of the memory that the loaded models leave; the rest is for what is not counted: buffers of connections, answers, the
#: engines' own.
_SHARE = 0.6
_MIN_BYTES = 64 * 1024 * 1024


class MemoryUse(StrEnum):
    """What memory is reserved for."""

    MESSAGES = "messages"  # in the process that talks to callers
    PICTURES = "pictures"  # large ones, decoded in engine processes


class MemoryBudget:
    """Counts reserved bytes up to a limit. Thread-safe.

    One reservation for each use is granted whatever there is, because it would be refused for ever otherwise: a large
    picture waits while its own message is reserved.

    Args:
        max_bytes: most bytes reserved at a time, but for that.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._reserved: dict[MemoryUse, int] = dict.fromkeys(MemoryUse, 0)

    @property
    def reserved_bytes(self) -> dict[MemoryUse, int]:
        """Bytes reserved now, by what for."""
        return dict(self._reserved)

    def reserve(self, use: MemoryUse, num_bytes: int) -> bool:
        """Reserve bytes; return False when they do not fit."""
        with self._lock:
            is_first = not self._reserved[use]
            fits = is_first or sum(self._reserved.values()) + num_bytes <= self.max_bytes
            if fits:
                self._reserved[use] += num_bytes
            return fits

    def release(self, use: MemoryUse, num_bytes: int) -> None:
        """Give reserved bytes back."""
        with self._lock:
            self._reserved[use] -= num_bytes


def free_memory_bytes(process_ids: Iterable[int]) -> int:
    """The memory that requests may take by default, bytes: a share of what the container or machine has left.

    Args:
        process_ids: of the processes whose memory is taken already.
    """
    used = sum(map(resident_bytes, process_ids))
    return max(_MIN_BYTES, int((memory_limit_bytes() - used) * _SHARE))
