"""Property of `RecentPeak`: it keeps the largest value for a quarter to half of a second."""

import pytest

from server.inference.recent_peak import RecentPeak


class Clock:
    """A clock that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_the_largest_of_the_newest_values(clock: Clock):
    peak = RecentPeak(clock)
    assert peak.value == 0
    for value in (3, 7, 2):
        peak.add(value)
        clock.now_s += 0.05
    assert peak.value == 7


@pytest.mark.parametrize(("later_s", "value"), [(0.24, 7), (0.26, 7), (0.49, 7), (0.51, 1), (60.0, 1)])
def test_it_forgets_older_values(clock: Clock, later_s: float, value: int):
    peak = RecentPeak(clock)
    peak.add(7)
    clock.now_s += later_s
    peak.add(1)
    assert peak.value == value


def test_a_value_between_two_windows_is_kept(clock: Clock):
    peak = RecentPeak(clock)
    peak.add(1)
    clock.now_s += 0.3
    peak.add(5)
    clock.now_s += 0.3
    assert peak.value == 5
