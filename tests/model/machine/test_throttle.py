import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.bundle.bundle import load_bundle
from model.engines.engine_choice import open_engine
from model.machine import throttle
from model.machine.throttle import Throttle


class Clock(threading.Event):
    """Time that passes only while somebody works or waits for this event."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.pauses_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses_s.append(timeout)
        self.now_s += timeout
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(perf_counter=lambda: clock.now_s))
    return clock


def test_a_pause_is_as_long_as_the_step_before_it_times_the_ratio(clock: Clock):
    throttled = Throttle(3.0, clock)
    clock.now_s += 0.5
    throttled.pause()
    clock.now_s += 0.25
    throttled.pause()
    assert clock.pauses_s == [1.5, 0.75]


def test_without_a_ratio_there_is_no_pause(clock: Clock):
    none = Throttle(0.0, clock)
    clock.now_s += 0.5
    none.pause()
    assert not none.is_active
    assert clock.pauses_s == []


def test_a_pause_ends_when_its_work_is_waited_for():
    is_over = threading.Event()
    throttled = Throttle(1e6, is_over)
    waiting = threading.Thread(target=throttled.pause)
    time.sleep(0.01)  # a step, whose pause would take hours
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    is_over.set()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_bundle_is_read_with_a_pause_after_each_file(toy_bundle: Path, clock: Clock):
    num_files = len([file for file in toy_bundle.rglob("*") if file.is_file() and file.name != "manifest.json"])
    load_bundle(toy_bundle, Throttle(1.0, clock))
    assert len(clock.pauses_s) == num_files


def test_an_engine_is_opened_with_a_pause_after_each_program(toy_bundle: Path, clock: Clock):
    engine = open_engine(toy_bundle, "openvino", many_callers=True, throttle=Throttle(1.0, clock))
    engine.close()
    assert len(clock.pauses_s) == 5  # the classifier is read once and compiled in three ways, then the encoder
