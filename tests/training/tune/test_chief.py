"""Chief and workers over gRPC, through a line that breaks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.errors import SettingsError, TrainingError
from tests.training.tune.broken_line import BrokenLine
from tests.training.tune.conftest import JOB, Clock
from training.tune.chief import Chief
from training.tune.chief_client import ChiefClient
from training.tune.scheduler import Scheduler
from training.tune.trial_message import Outcome, unpack_order

OpenDesk = Callable[..., Scheduler]


@contextmanager
def line_to(chief: Chief) -> Iterator[BrokenLine]:
    line = BrokenLine(chief.port)
    try:
        yield line
    finally:
        line.close()


def client(address: str, name: str = "w", call_timeout_s: float = 0.5, patience_s: float = 20.0) -> ChiefClient:
    return ChiefClient(address, name, patience_s, call_timeout_s)


def finish(worker: ChiefClient, seconds: float = 0.0) -> bool:
    """One trial; False when there are no more."""
    while (trial := worker.ask()).status == "IDLE":
        time.sleep(0.01)
    if trial.status == "STOPPED":
        return False
    worker.report(trial.trial_id, {"joint_accuracy": 0.5, "loss": 1.0}, 1)
    time.sleep(seconds)
    worker.end(trial.trial_id, "COMPLETED", Outcome(score=0.5, figures={"joint_accuracy": 0.5}))
    return True


def assert_all_accounted(scheduler: Scheduler, count: int) -> None:
    trials = scheduler.snapshot()
    assert [trial.status for trial in trials] == ["completed"] * count
    for trial in trials:
        assert [attempt.outcome for attempt in trial.attempts].count("completed") == 1


def test_a_worker_learns_all_it_needs(open_desk: OpenDesk) -> None:
    scheduler = open_desk()
    with Chief(scheduler, "127.0.0.1:0") as chief:
        worker = client(chief.address)
        assert worker.job() == JOB
        trial = worker.ask()
        order = unpack_order(trial)
        assert order.settings == scheduler.snapshot()[0].settings  # not in the 32 bits of keras-tuner's floats
        assert worker.report(trial.trial_id, {"joint_accuracy": 0.25}, 1) == "RUNNING"
        worker.end(trial.trial_id, "FAILED", Outcome(error="Traceback 한글\nMemoryError: 12 GiB"))
        worker.close()
    assert scheduler.snapshot()[0].error == "Traceback 한글\nMemoryError: 12 GiB"
    assert scheduler.snapshot()[0].history[0]["joint_accuracy"] == 0.25


@pytest.mark.parametrize(("fault", "seconds"), [("cut", 0.05), ("fall_silent", 0.7)])
def test_a_broken_line_costs_nothing(open_desk: OpenDesk, fault: str, seconds: float) -> None:
    """It breaks again and again, between and inside calls, while a worker goes through all trials."""
    scheduler = open_desk(num_trials=12)
    with Chief(scheduler, "127.0.0.1:0") as chief, line_to(chief) as line:
        over = threading.Event()

        def break_it() -> None:
            while not over.wait(0.15):
                getattr(line, fault)()
                time.sleep(seconds)
                line.mend()

        threading.Thread(target=break_it, daemon=True).start()
        worker = client(line.address)
        while finish(worker, 0.04):
            pass
        over.set()
        worker.close()
    assert scheduler.is_done
    assert_all_accounted(scheduler, 12)
    assert {len(trial.attempts) for trial in scheduler.snapshot()} == {1}


def test_a_line_that_stays_cut_stalls_nobody(open_desk: OpenDesk, clock: Clock) -> None:
    """The worker behind it has a trial, which another one trains; the chief ends without it."""
    scheduler = open_desk(num_trials=4, lease_s=0.5)
    with Chief(scheduler, "127.0.0.1:0") as chief, line_to(chief) as line:
        lost = client(line.address, "lost", patience_s=1.0)
        assert lost.ask().trial_id == "0.1"
        line.cut()
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


def test_workers_wait_for_a_chief_that_is_started_again(open_desk: OpenDesk, tmp_path: Path) -> None:
    scheduler = open_desk()
    first = Chief(scheduler, "127.0.0.1:0")
    with first, line_to(first) as line:
        worker = client(line.address)
        trial = worker.ask()
        first.__exit__(None, None, None)
        scheduler.record.close()
        said: list[str] = []
        reporting = threading.Thread(target=lambda: said.append(worker.report(trial.trial_id, {}, 0)))
        reporting.start()
        scheduler = open_desk()
        with Chief(scheduler, "127.0.0.1:0") as second:
            line.port = second.port
            reporting.join()
            assert said == ["RUNNING"]
            worker.end(trial.trial_id, "COMPLETED", Outcome(score=0.5))
            while finish(worker):
                pass
        worker.close()
    assert_all_accounted(scheduler, 5)
    assert {len(trial.attempts) for trial in scheduler.snapshot()} == {1}


def test_what_the_chief_does_not_understand_is_told(open_desk: OpenDesk) -> None:
    with Chief(open_desk(), "127.0.0.1:0") as chief:
        worker = client(chief.address)
        with pytest.raises(TrainingError, match=r"the chief at .* refused EndTrial"):
            worker.end("99.1", "COMPLETED", Outcome(score=0.5))
        worker.close()


def test_a_port_that_is_taken(open_desk: OpenDesk) -> None:
    scheduler = open_desk()
    with (
        Chief(scheduler, "127.0.0.1:0") as chief,
        pytest.raises(SettingsError, match=r"--listen: expected a free HOST:PORT of this machine, found '127"),
    ):
        Chief(scheduler, chief.address)
