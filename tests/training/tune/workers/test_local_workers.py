"""Workers on one machine: shares of cores and GPUs, and restarts."""

import time
from pathlib import Path

import pytest

from training.tune.workers.local_workers import LocalWorkers, WorkerPlan, plan_workers, visible_gpus


@pytest.mark.parametrize(
    ("num_workers", "cores", "shares"),
    [
        (1, [0, 1, 2], [(0, 1, 2)]),
        (2, [0, 1, 2, 3], [(0, 1), (2, 3)]),
        (2, [4, 5, 6], [(4,), (5, 6)]),
        (3, [0, 1], [(0,), (0,), (1,)]),
        (2, [7], [(7,), (7,)]),
    ],
)
def test_an_equal_share_of_cores(num_workers: int, cores: list[int], shares: list[tuple[int, ...]]) -> None:
    plans = plan_workers(num_workers, cores, [])
    assert sorted(plan.cores for plan in plans) == sorted(shares)
    assert {plan.gpu for plan in plans} == {""}


def test_one_gpu_per_worker() -> None:
    assert [plan.gpu for plan in plan_workers(3, [0, 1, 2], ["0", "GPU-4f"])] == ["0", "GPU-4f", "0"]


def test_only_visible_gpus_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    assert visible_gpus() == ["2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


def test_a_worker_that_cannot_start_stops_the_search(tmp_path: Path) -> None:
    lost: list[tuple[str, str, bool]] = []
    workers = LocalWorkers(
        [WorkerPlan(())],
        ["tune-worker", "--no-such-flag"],
        "tensorflow",
        tmp_path / "logs",
        tmp_path / "cache",
        lambda *arguments: lost.append(arguments),
        set,
    )
    with workers:
        deadline = time.monotonic() + 200
        while not (failure := workers.watch(is_done=False)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert failure.startswith("worker local-0 cannot start: worker local-0 ended with exit code 2; its log")
    assert "no-such-flag" in failure
    assert len({name for name, _, _ in lost}) == 3  # each start has a name of its own
    assert not any(is_final for _, _, is_final in lost)
