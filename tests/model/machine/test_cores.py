import os
from pathlib import Path

import pytest

from model.machine.cores import usable_cores

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", CORES), ("100000 100000", 1), ("50000 100000", 1), ("9900000 100000", CORES), ("nonsense", CORES)],
)
def test_the_quota_of_the_control_group_counts(quota: str, expected: int, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == expected


def test_there_need_not_be_a_control_group(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == CORES
