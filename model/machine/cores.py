"""Processor cores that this process may use; the machine's number is wrong inside a container."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from model.machine.control_groups import control_groups

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Number of cores of this process, 1 or more: its affinity, cut by the CPU quota of its control groups.

    Every pool of threads or processes takes its size from here.

    Args:
        root: folder with `proc/self/cgroup`, `proc/self/mountinfo` and `sys/fs/cgroup`; they may be absent.
    """
    return max(1, round(min([len(_affinity()), *_quotas(root)])))


def usable_core_numbers(root: Path = _ROOT) -> list[int]:
    """Numbers of as many cores as `usable_cores` counts, out of those that this process may run on."""
    return _affinity()[: usable_cores(root)]


def _affinity() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas in cores of the process' control group and all above it, of version 2 and of version 1."""
    for group in control_groups("cpu", root):
        if group.version == 1:
            yield _ratio(group.setting("cpu.cfs_quota_us"), group.setting("cpu.cfs_period_us"))
        else:
            quota, _, period = group.setting("cpu.max").partition(" ")
            yield _ratio(quota, period)


def _ratio(quota: str, period: str) -> float:
    """Cores; infinite without a quota, which reads "max" or -1."""
    try:
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except ValueError:
        return math.inf
