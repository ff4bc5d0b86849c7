"""The adaptive limit of calls in flight, on a simulated clock."""

import pytest

from server.calls.concurrency_limit import ConcurrencyLimit

TICK_S = 0.01


class Callers:
    """Callers who do not wait for each other, and a server that answers so many calls a second.

    Attributes:
        num_in_flight, num_rejected: calls in flight now, and calls rejected so far.
    """

    def __init__(self, rate_rps: float, deadline_s: float | None = 2.0):
        self.rate_rps = rate_rps
        self.num_in_flight = self.num_rejected = 0
        self._deadline_s = deadline_s
        self._time_s = self._due = 0.0
        self.limit = ConcurrencyLimit(lambda: self._time_s)

    def run(self, seconds: float, arrivals_rps: float, are_answered: bool = True) -> None:
        for tick in range(round(seconds / TICK_S)):
            self._time_s += TICK_S
            self._come(round((tick + 1) * arrivals_rps * TICK_S) - round(tick * arrivals_rps * TICK_S))
            self._due = min(self._due + self.rate_rps * TICK_S, self.num_in_flight)
            while self._due >= 1:
                self._due -= 1
                self.num_in_flight -= 1
                self.limit.end(are_answered)

    def _come(self, count: int) -> None:
        for _ in range(count):
            if self.limit.is_full:
                self.num_rejected += 1
            else:
                self.num_in_flight += 1
                self.limit.begin(self._deadline_s)


def test_calls_wait_half_of_their_deadline_at_most():
    callers = Callers(rate_rps=100, deadline_s=2.0)
    callers.run(5, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(100, abs=10)
    assert callers.num_rejected > 1500


def test_a_server_that_becomes_slower_has_fewer_in_flight():
    callers = Callers(rate_rps=100)
    callers.run(3, arrivals_rps=500)
    callers.rate_rps = 40
    callers.run(5, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(40, abs=10)
    callers.rate_rps = 200
    callers.run(5, arrivals_rps=1000)
    assert callers.num_in_flight == pytest.approx(200, abs=20)


def test_after_an_overload_all_calls_are_admitted():
    callers = Callers(rate_rps=100)
    callers.run(3, arrivals_rps=500)
    callers.run(3, arrivals_rps=50)
    rejected = callers.num_rejected
    callers.run(3, arrivals_rps=90)
    assert callers.num_rejected == rejected


@pytest.mark.parametrize(
    ("callers", "arrivals_rps"),
    [
        pytest.param(Callers(100, deadline_s=2.0), 95, id="as many as are answered"),
        pytest.param(Callers(100, deadline_s=None), 500, id="no deadline"),
    ],
)
def test_no_call_is_rejected(callers: Callers, arrivals_rps: float):
    callers.run(5, arrivals_rps)
    assert callers.num_rejected == 0


def test_a_burst_that_is_answered_in_time_is_admitted():
    callers = Callers(rate_rps=100)
    callers.run(2, arrivals_rps=20)
    callers.run(0.1, arrivals_rps=900)  # 90 at once
    callers.run(2, arrivals_rps=20)
    assert callers.num_rejected == 0


def test_some_calls_are_admitted_while_none_is_answered():
    callers = Callers(rate_rps=100)
    callers.run(5, arrivals_rps=500, are_answered=False)
    assert callers.num_in_flight in (15, 16)
    callers.run(3, arrivals_rps=500)
    assert callers.num_in_flight == pytest.approx(100, abs=10)


def test_calls_after_a_pause_are_admitted():
    """A single pause does not lower the rate, whatever was in flight."""
    time_s = 0.0
    limit = ConcurrencyLimit(lambda: time_s)
    for _ in range(10):
        limit.begin(10.0)
    for _ in range(20):  # 25 a second, 10 in flight
        time_s += 0.04
        limit.end(is_answered=True)
        limit.begin(10.0)
    for _ in range(3):
        time_s += 5.0
        limit.end(is_answered=True)
        for _ in range(100):
            assert not limit.is_full
            limit.begin(10.0)
        for _ in range(99):
            time_s += 0.01
            limit.end(is_answered=True)
