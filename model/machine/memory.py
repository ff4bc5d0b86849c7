"""Memory that this process may use, uses, and gives back."""

import ctypes
import math
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

from model.machine.control_groups import control_groups, read_text

_ROOT = Path("/")

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8
_MOST_KEPT_BYTES = 2**31 - 1
#: Freed blocks of this size and larger go back at once; smaller ones when this much is free at the end of the heap.
_RETURNED_BLOCK_BYTES = 1 << 20
_MAX_ARENAS = 2


class _MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33: bytes in use in its heaps (uordblks) and in mapped blocks (hblkhd)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def memory_limit_bytes(root: Path = _ROOT) -> int:
    """Bytes of memory beyond which this process is killed: the machine's, cut by the limits of its control groups.

    Args:
        root: folder with `proc/meminfo`, `proc/self/cgroup` and `sys/fs/cgroup`; they may be absent.
    """
    return int(min([_machine_bytes(root), *_limits(root)]))


def resident_bytes(pid: int | None = None) -> int:
    """Bytes of a process that are in memory now, those that it shares with others included.

    Args:
        pid: of another process; None is this one.
    Raises:
        ProcessLookupError: there is no such process.
    """
    pid = pid or os.getpid()
    if statm := read_text(Path(f"/proc/{pid}/statm")):
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    if not listed.strip():
        raise ProcessLookupError(f"expected a running process, found none with id {pid}")
    return int(listed) * 1024


def allocated_bytes() -> int:
    """Bytes that this process has allocated and not freed: of glibc's allocator, without Python's small objects.

    Of another C library, or an old glibc, the resident bytes, which hold freed ones as well.
    """
    library = _glibc()
    if library is None or not hasattr(library, "mallinfo2"):
        return resident_bytes()
    library.mallinfo2.restype = _MallocInfo
    info = library.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def return_freed_memory() -> None:
    """Let glibc give freed memory back to the system, for a server that large messages and pictures pass through.

    By default glibc raises the size from which a block is returned with each large one that is freed, up to 32 MiB, and
    keeps what each thread has freed for that thread. To be called before the threads start. No other C library is
    touched.
    """
    if library := _glibc():
        library.mallopt(_M_MMAP_THRESHOLD, _RETURNED_BLOCK_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _RETURNED_BLOCK_BYTES)
        library.mallopt(_M_ARENA_MAX, _MAX_ARENAS)


def trim_memory() -> None:
    """Give back now what is free between blocks in use as well; takes milliseconds. Of glibc only."""
    if library := _glibc():
        library.malloc_trim(0)


def keep_freed_memory() -> None:
    """Let glibc use large freed blocks again, for training.

    By default each goes back to the system, and a training step spends up to half of its time on getting pages anew.
    """
    if library := _glibc():
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT_BYTES)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _machine_bytes(root: Path) -> float:
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits(root: Path) -> Iterator[float]:
    for group in control_groups("memory", root):
        limit = group.setting("memory.limit_in_bytes" if group.version == 1 else "memory.max")
        yield int(limit) if limit.isdecimal() else math.inf  # "max" without one
