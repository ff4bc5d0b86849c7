"""Processor cores that this process may use; the machine's number is wrong inside a container."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Number of cores of this process, 1 or more: its affinity, cut by the CPU quota of its control groups.

    Every pool of threads or processes takes its size from here.

    Args:
        root: folder with `proc/self/cgroup` and `sys/fs/cgroup`; they may be absent.
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
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = mount / path.lstrip("/")
        # Inside a container the path may be the host's, which is not there; then the mount is the group itself.
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                yield _quota_v1(folder) if controllers else _quota_v2(folder)


def _quota_v2(folder: Path) -> float:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: Path) -> float:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float:
    """Cores; infinite without a quota, which reads "max" or -1."""
    try:
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except ValueError:
        return math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
