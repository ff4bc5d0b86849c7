"""Pairs that people should be asked about."""

import numpy as np


def chosen_questions(probabilities: np.ndarray, count: int) -> np.ndarray:
    """Choose the pairs that the matcher knows least about (uncertainty sampling, Lewis and Gale 1994).

    Args:
        probabilities: (P,) that pairs are the same.
        count: most questions.
    Returns:
        (Q,) int64 positions, the least sure first.
    """
    return np.argsort(np.abs(probabilities - 0.5), kind="stable")[:count]
