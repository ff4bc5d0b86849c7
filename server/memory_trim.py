"""Gives memory back to the system that large messages have left free."""

import asyncio
import gc

from model.machine.memory import allocated_bytes, resident_bytes, trim_memory
from server.inference.memory_budget import MemoryBudget, MemoryUse

_POLL_S = 1.0
#: More of it than this is worth the milliseconds that giving it back takes.
_WORTH_BYTES = 32 * 1024 * 1024


class MemoryTrim:
    """Looks once a second whether freed memory, or garbage, has piled up. Runs on the event loop.

    Args:
        memory: what is reserved for messages is no garbage.
    """

    def __init__(self, memory: MemoryBudget):
        self._memory = memory
        self._freed_bytes = self._allocated_bytes = 0

    def start(self) -> None:
        """Begin to look; what is there now stays."""
        self._allocated_bytes = allocated_bytes()
        self._freed_bytes = resident_bytes() - self._allocated_bytes
        self._look()

    def _look(self) -> None:
        allocated, reserved = allocated_bytes(), self._memory.reserved_bytes[MemoryUse.MESSAGES]
        freed_bytes = resident_bytes() - allocated - self._freed_bytes
        garbage_bytes = allocated - self._allocated_bytes - reserved
        loop = asyncio.get_running_loop()
        if max(freed_bytes, garbage_bytes) > _WORTH_BYTES:
            loop.run_in_executor(None, _trim)
        loop.call_later(_POLL_S, self._look)


def _trim() -> None:
    gc.collect()  # errors hold the messages of their calls in circles
    trim_memory()
