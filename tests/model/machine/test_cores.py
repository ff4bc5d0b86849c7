"""Cores by affinity and by the quotas of control groups, of both versions."""

import os
from pathlib import Path

import pytest

from model.machine import cores
from model.machine.cores import usable_core_numbers, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which this process may run on cores 3 to 10."""
    monkeypatch.setattr(cores, "_affinity", lambda: list(range(3, 11)))


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


V2, V1 = "0::/shop/job\n", "3:cpuset:/\n2:cpu,cpuacct:/shop/job\n1:memory:/\n"


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        (V2, {}, 8),  # neither file is there
        (V2, {"shop/job/cpu.max": "max 100000\n"}, 8),
        (V2, {"shop/job/cpu.max": "200000 100000\n"}, 2),
        (V2, {"shop/job/cpu.max": "250000 100000\n"}, 2),
        (V2, {"shop/job/cpu.max": "10000 100000\n"}, 1),  # a tenth of a core is one
        (V2, {"shop/job/cpu.max": "6400000 100000\n"}, 8),
        (V2, {"shop/job/cpu.max": "max 100000\n", "shop/cpu.max": "300000 100000\n"}, 3),  # of a group above
        (V2, {"cpu.max": "400000 100000\n"}, 4),  # in a container, whose own group is the root
        (V2, {"shop/job/cpu.max": "nonsense\n"}, 8),
        (V1, {"cpu/shop/job/cpu.cfs_quota_us": "-1\n", "cpu/shop/job/cpu.cfs_period_us": "100000\n"}, 8),
        (V1, {"cpu/shop/job/cpu.cfs_quota_us": "150000\n", "cpu/shop/job/cpu.cfs_period_us": "50000\n"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 2),
    ],
)
def test_the_least_of_affinity_and_quotas(group: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    root = write(
        tmp_path, {"proc/self/cgroup": group, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    )
    assert usable_cores(root) == expected
    assert usable_core_numbers(root) == list(range(3, 3 + expected))


def mount(top: str, where: str, kind: str, options: str) -> str:
    return f"40 32 0:35 {top} {where} rw,nosuid,nodev,noexec,relatime shared:9 - {kind} {kind} {options}\n"


QUOTA_3 = {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}
JOINED = mount("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct")


@pytest.mark.parametrize(
    ("group", "mounts", "folder"),
    [
        (V1, JOINED, "sys/fs/cgroup/cpu,cpuacct/shop/job"),
        (V1, JOINED, "sys/fs/cgroup/cpu,cpuacct/shop"),  # of a group above
        (V1, JOINED, "sys/fs/cgroup/cpu,cpuacct"),  # the path is the host's
        (
            "2:cpuacct,cpu:/shop\n",
            mount("/", "/sys/fs/cgroup/cpuacct,cpu", "cgroup", "rw,cpuacct,cpu"),
            "sys/fs/cgroup/cpuacct,cpu/shop",
        ),
        # a container of Docker: the mount shows its own group, whose path is given from the host's root
        (
            "4:cpu,cpuacct:/docker/1a2b\n",
            mount("/docker/1a2b", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "ro,cpu,cpuacct"),
            "sys/fs/cgroup/cpu,cpuacct",
        ),
        (
            "4:cpu,cpuacct:/docker/1a2b/job\n",
            mount("/docker/1a2b", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "ro,cpu,cpuacct"),
            "sys/fs/cgroup/cpu,cpuacct/job",
        ),
        # another controller's mount, and one of version 2 that holds no controller, beside it; a space in a name
        (
            "5:cpuset:/\n4:cpu:/shop\n0::/shop\n",
            mount("/", "/sys/fs/cgroup/cpuset", "cgroup", "rw,cpuset")
            + mount("/", "/sys/fs/cgroup/unified", "cgroup2", "rw")
            + mount("/", "/sys/fs/my\\040cpu", "cgroup", "rw,cpu"),
            "sys/fs/my cpu/shop",
        ),
    ],
)
def test_quotas_of_version_1_are_found_where_they_are_mounted(
    group: str, mounts: str, folder: str, tmp_path: Path
) -> None:
    files = {f"{folder}/{name}": text for name, text in QUOTA_3.items()}
    root = write(tmp_path, {"proc/self/cgroup": group, "proc/self/mountinfo": f"nonsense\n{mounts}", **files})
    assert usable_cores(root) == 3


def test_a_quota_of_version_2_at_a_mount_of_its_own(tmp_path: Path) -> None:
    mounts = mount("/kubepods/pod7", "/run/groups", "cgroup2", "rw")
    files = {"proc/self/cgroup": "0::/kubepods/pod7/job\n", "run/groups/job/cpu.max": "200000 100000\n"}
    assert usable_cores(write(tmp_path, {**files, "proc/self/mountinfo": mounts})) == 2


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == 8


def test_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert len(usable_core_numbers()) == usable_cores()
