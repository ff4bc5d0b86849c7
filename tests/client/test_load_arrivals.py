import numpy as np
import pytest

from client.load.arrivals import poisson_arrivals


def test_arrivals_are_poisson():
    arrivals_s = poisson_arrivals(200, 100, np.random.default_rng(0))
    gaps_s = np.diff(arrivals_s)
    assert (gaps_s >= 0).all()
    assert arrivals_s[0] >= 0
    assert arrivals_s[-1] < 100
    assert gaps_s.mean() == pytest.approx(1 / 200, rel=0.05)
    assert gaps_s.std() == pytest.approx(1 / 200, rel=0.05)  # the standard deviation of an exponential equals its mean
    counts = np.bincount(arrivals_s.astype(int))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.4)


def test_a_seed_gives_the_same_arrivals():
    first, again, other = (poisson_arrivals(50, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_a_very_low_rate_ends_too():
    assert (poisson_arrivals(0.01, 1, np.random.default_rng(0)) < 1).all()
