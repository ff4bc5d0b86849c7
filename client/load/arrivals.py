"""Arrival times of requests."""

import numpy as np


def poisson_arrivals(rate_rps: float, total_s: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the arrival times of independent callers: a Poisson process with exponential gaps of mean 1 / rate.

    Returns:
        (N,) float64, ascending, seconds from 0 to `total_s`; N is random with mean rate x total.
    """
    arrivals_s = np.empty(0)
    while not len(arrivals_s) or arrivals_s[-1] < total_s:
        gaps_s = rng.exponential(1 / rate_rps, size=int(rate_rps * total_s) + 64)
        last_s = arrivals_s[-1] if len(arrivals_s) else 0.0
        arrivals_s = np.concatenate([arrivals_s, last_s + np.cumsum(gaps_s)])
    return arrivals_s[arrivals_s < total_s]
