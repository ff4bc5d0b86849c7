"""The most calls in flight, on a clock of the test's own."""

import pytest

from server.calls.call_pace import CallPace

TICK_S = 0.01


class Callers:
    """Callers who do not wait for each other, and a server that answers so many calls a second.

    Attributes:
        num_in_flight, num_refused: calls now, and so far.
    """

    def __init__(self, rate_rps: float, deadline_s: float | None = 2.0):
        self.rate_rps = rate_rps
        self.num_in_flight = self.num_refused = 0
        self._deadline_s = deadline_s
        self._time_s = self._due = 0.0
        self.pace = CallPace(lambda: self._time_s)

    def run(self, seconds: float, arrivals_rps: float, are_answered: bool = True) -> None:
        for tick in range(round(seconds / TICK_S)):
            self._time_s += TICK_S
            self._come(round((tick + 1) * arrivals_rps * TICK_S) - round(tick * arrivals_rps * TICK_S))
            self._due = min(self._due + self.rate_rps * TICK_S, self.num_in_flight)
            while self._due >= 1:
                self._due -= 1
                self.num_in_flight -= 1
                self.pace.end(are_answered)

    def _come(self, count: int) -> None:
        for _ in range(count):
            if self.pace.is_full:
                self.num_refused += 1
            else:
                self.num_in_flight += 1
                self.pace.begin(self._deadline_s)


def test_calls_wait_half_of_their_deadline_at_most():
    callers = Callers(rate_rps=100, deadline_s=2.0)
    callers.run(5, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(100, abs=10)
    assert callers.num_refused > 1500


def test_a_server_that_becomes_slower_has_fewer_in_flight():
    callers = Callers(rate_rps=100)
    callers.run(3, arrivals_rps=500)
    callers.rate_rps = 40
    callers.run(5, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(40, abs=10)
    callers.rate_rps = 200
    callers.run(5, arrivals_rps=1000)
    assert callers.num_in_flight == pytest.approx(200, abs=20)


def test_after_the_flood_all_are_let_in():
    callers = Callers(rate_rps=100)
    callers.run(3, arrivals_rps=500)
    callers.run(3, arrivals_rps=50)
    refused = callers.num_refused
    callers.run(3, arrivals_rps=90)
    assert callers.num_refused == refused


@pytest.mark.parametrize(
    ("callers", "arrivals_rps"),
    [
        pytest.param(Callers(100, deadline_s=2.0), 95, id="as many as are answered"),
        pytest.param(Callers(100, deadline_s=None), 500, id="no deadline"),
    ],
)
def test_nobody_is_refused(callers: Callers, arrivals_rps: float):
    callers.run(5, arrivals_rps)
    assert callers.num_refused == 0


def test_a_burst_that_is_answered_in_time_is_let_in():
    callers = Callers(rate_rps=100)
    callers.run(2, arrivals_rps=20)
    callers.run(0.1, arrivals_rps=900)  # 90 at once
    callers.run(2, arrivals_rps=20)
    assert callers.num_refused == 0


def test_where_nobody_is_answered_some_are_tried():
    callers = Callers(rate_rps=100)
    callers.run(5, arrivals_rps=500, are_answered=False)
    assert callers.num_in_flight in (15, 16)
    callers.run(3, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(100, abs=10)


def test_what_comes_at_once_when_all_had_stood_still_is_let_in():
    """One pause says nothing of how many could be answered, whatever was in flight."""
    time_s = 0.0
    pace = CallPace(lambda: time_s)
    for _ in range(10):
        pace.begin(10.0)
    for _ in range(20):  # 25 a second, 10 in flight
        time_s += 0.04
        pace.end(is_answered=True)
        pace.begin(10.0)
    for _ in range(3):
        time_s += 5.0
        pace.end(is_answered=True)
        for _ in range(100):
            assert not pace.is_full
            pace.begin(10.0)
        for _ in range(99):
            time_s += 0.01
            pace.end(is_answered=True)
