"""Progress of an engine process in memory that it shares with the server, which tells long work from a hang by it."""

import mmap
import os
import struct
import tempfile
from typing import Self

_COUNTERS = struct.Struct("<QQ")  # steps, number of the frame being answered


class Progress:
    """Two counters in shared memory; one process writes them, another reads them.

    Attributes:
        file_number: of the shared memory, to be inherited by the engine process.
    """

    def __init__(self, file_number: int):
        self.file_number = file_number
        self._memory = mmap.mmap(file_number, _COUNTERS.size)
        self._steps = self._frame = 0

    @classmethod
    def create(cls) -> Self:
        """Make the shared memory."""
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("aisle-progress")
        else:
            with tempfile.TemporaryFile() as file:
                number = os.dup(file.fileno())
        os.ftruncate(number, _COUNTERS.size)
        return cls(number)

    def step(self) -> None:
        """Record that work has advanced; called after each picture, run of the engine and part."""
        self._steps += 1
        _COUNTERS.pack_into(self._memory, 0, self._steps, self._frame)

    def begin_frame(self, number: int) -> None:
        """Record which frame is being answered from now on."""
        self._frame = number
        self.step()

    def read(self) -> tuple[int, int]:
        """The number of steps so far, and the number of the frame being answered."""
        steps, frame = _COUNTERS.unpack_from(self._memory)
        return steps, frame

    def close(self) -> None:
        """Free the memory on this side."""
        self._memory.close()
        os.close(self.file_number)
