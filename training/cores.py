"""The cores that this process may run on, which can be fewer than the machine has."""

import os


def usable_cores() -> list[int]:
    """Their numbers, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
