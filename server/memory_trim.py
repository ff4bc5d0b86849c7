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
        self._freed_bytes = self._used_bytes = 0

    def start(self) -> None:
        """Begin to look; what is there now stays."""
        self._freed_bytes, self._used_bytes = self._measure()
        self._look()

    def _look(self) -> None:
        freed_bytes, used_bytes = self._measure()
        self._freed_bytes = min(self._freed_bytes, freed_bytes)
        self._used_bytes = min(self._used_bytes, used_bytes)
        loop = asyncio.get_running_loop()
        if max(freed_bytes - self._freed_bytes, used_bytes - self._used_bytes) > _WORTH_BYTES:
            loop.run_in_executor(None, self._trim)
        loop.call_later(_POLL_S, self._look)

    def _trim(self) -> None:
        gc.collect()  # errors hold the messages of their calls in circles
        trim_memory()
        # What is left is in use, as by thousands of open calls: to collect it in vain stops everybody for 0.25 s.
        self._freed_bytes, self._used_bytes = self._measure()

    def _measure(self) -> tuple[int, int]:
        """Bytes that the process has but does not use, and those it uses for anything but messages."""
        allocated = allocated_bytes()
        return resident_bytes() - allocated, allocated - self._memory.reserved_bytes[MemoryUse.MESSAGES]
