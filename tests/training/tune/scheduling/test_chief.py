"""Chief and workers over gRPC, through a faulty proxy."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.errors import SettingsError, TrainingError
from tests.training.tune.conftest import JOB, Clock
from tests.training.tune.faulty_proxy import FaultyProxy
from training.tune.scheduling.chief import Chief
from training.tune.scheduling.chief_client import ChiefClient
from training.tune.scheduling.scheduler import Scheduler
from training.tune.scheduling.trial_message import Outcome, unpack_spec

OpenScheduler = Callable[..., Scheduler]


@contextmanager
def proxy_to(chief: Chief) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(chief.port)
    try:
        yield proxy
    finally:
        proxy.close()


def client(address: str, name: str = "w", call_timeout_s: float = 0.5, patience_s: float = 20.0) -> ChiefClient:
    return ChiefClient(address, name, patience_s, call_timeout_s)


def finish(worker: ChiefClient, seconds: float = 0.0) -> bool:
    """Finish one trial; return False when there are no more."""
    while (trial := worker.request_trial()).status == "IDLE":
        time.sleep(0.01)
    if trial.status == "STOPPED":
        return False
    worker.report(trial.trial_id, {"joint_accuracy": 0.5, "loss": 1.0}, 1)
    time.sleep(seconds)
    worker.end_trial(trial.trial_id, "COMPLETED", Outcome(score=0.5, figures={"joint_accuracy": 0.5}))
    return True


def assert_all_accounted(scheduler: Scheduler, count: int) -> None:
    trials = scheduler.snapshot()
    assert [trial.status for trial in trials] == ["completed"] * count
    for trial in trials:
        assert [attempt.outcome for attempt in trial.attempts].count("completed") == 1


def test_a_worker_receives_the_job_and_the_settings(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    with Chief(scheduler, "127.0.0.1:0") as chief:
        worker = client(chief.address)
        assert worker.job() == JOB
        trial = worker.request_trial()
        order = unpack_spec(trial)
        assert order.settings == scheduler.snapshot()[0].settings  # not in the 32 bits of keras-tuner's floats
        assert worker.report(trial.trial_id, {"joint_accuracy": 0.25}, 1) == "RUNNING"
        worker.end_trial(trial.trial_id, "FAILED", Outcome(error="Traceback 한글\nMemoryError: 12 GiB"))
        worker.close()
    assert scheduler.snapshot()[0].error == "Traceback 한글\nMemoryError: 12 GiB"
    assert scheduler.snapshot()[0].history[0]["joint_accuracy"] == 0.25


@pytest.mark.parametrize(("fault", "seconds"), [("cut", 0.05), ("stall", 0.7)])
def test_connection_faults_lose_no_result(open_scheduler: OpenScheduler, fault: str, seconds: float) -> None:
    """The proxy fails repeatedly, between and during calls, while a worker finishes all trials."""
    scheduler = open_scheduler(num_trials=12)
    with Chief(scheduler, "127.0.0.1:0") as chief, proxy_to(chief) as proxy:
        over = threading.Event()

        def break_it() -> None:
            while not over.wait(0.15):
                getattr(proxy, fault)()
                time.sleep(seconds)
                proxy.restore()

        threading.Thread(target=break_it, daemon=True).start()
        worker = client(proxy.address)
        while finish(worker, 0.04):
            pass
        over.set()
        worker.close()
    assert scheduler.is_done
    assert_all_accounted(scheduler, 12)
    assert {len(trial.attempts) for trial in scheduler.snapshot()} == {1}


def test_a_permanent_fault_does_not_stall_the_search(open_scheduler: OpenScheduler, clock: Clock) -> None:
    """The disconnected worker has a trial, which another one trains; the chief ends without it."""
    scheduler = open_scheduler(num_trials=4, lease_s=0.5)
    with Chief(scheduler, "127.0.0.1:0") as chief, proxy_to(chief) as proxy:
        lost = client(proxy.address, "lost", patience_s=1.0)
        assert lost.request_trial().trial_id == "0.1"
        proxy.cut()
        worker = client(chief.address, "other")
        ended = threading.Event()

        def work() -> None:
            while finish(worker):
                pass
            ended.set()

        threading.Thread(target=work, daemon=True).start()
        while not ended.wait(0.05):
            clock.now += 0.05
            scheduler.expire()
        with pytest.raises(TrainingError, match=r"no chief answered at 127.0.0.1:\d+ for 1 s; start it there"):
            lost.report("0.1", {"joint_accuracy": 0.5}, 1)
        worker.close()
    assert scheduler.is_done
    assert_all_accounted(scheduler, 4)
    assert [attempt.outcome for attempt in scheduler.snapshot()[0].attempts] == ["lost", "completed"]


def test_workers_wait_for_a_chief_that_restarts(open_scheduler: OpenScheduler, tmp_path: Path) -> None:
    scheduler = open_scheduler()
    first = Chief(scheduler, "127.0.0.1:0")
    with first, proxy_to(first) as proxy:
        worker = client(proxy.address)
        trial = worker.request_trial()
        first.__exit__(None, None, None)
        scheduler.record.close()
        said: list[str] = []
        reporting = threading.Thread(target=lambda: said.append(worker.report(trial.trial_id, {}, 0)))
        reporting.start()
        scheduler = open_scheduler()
        with Chief(scheduler, "127.0.0.1:0") as second:
            proxy.port = second.port
            reporting.join()
            assert said == ["RUNNING"]
            worker.end_trial(trial.trial_id, "COMPLETED", Outcome(score=0.5))
            while finish(worker):
                pass
        worker.close()
    assert_all_accounted(scheduler, 5)
    assert {len(trial.attempts) for trial in scheduler.snapshot()} == {1}


def test_an_invalid_call_is_reported(open_scheduler: OpenScheduler) -> None:
    with Chief(open_scheduler(), "127.0.0.1:0") as chief:
        worker = client(chief.address)
        with pytest.raises(TrainingError, match=r"the chief at .* rejected EndTrial"):
            worker.end_trial("99.1", "COMPLETED", Outcome(score=0.5))
        worker.close()


def test_a_port_in_use(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    with (
        Chief(scheduler, "127.0.0.1:0") as chief,
        pytest.raises(SettingsError, match=r"--listen: expected a free HOST:PORT of this machine, found '127"),
    ):
        Chief(scheduler, chief.address)
