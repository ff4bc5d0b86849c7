"""How many processor cores this process may use; the machine's number is wrong inside a container."""

import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota_file: Path = _CGROUP_QUOTA) -> int:
    """Cores of this process, 1 or more: its affinity, cut by the quota of its control group (version 2).

    Args:
        quota_file: "QUOTA PERIOD" in microseconds, or "max PERIOD" without a quota; may be absent.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, round(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    return max(cores, 1)
