"""When a trial is not worth going on with (Golovin et al. 2017, "Google Vizier", the median stopping rule)."""

import statistics
from collections.abc import Sequence

#: Trials to compare with before the rule is trusted.
LEAST_TRIALS = 4
#: Epochs that every trial gets: a first epoch says little under a learning rate that still rises.
LEAST_EPOCHS = 2


def falls_behind(scores: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a trial's best score so far is below the median of the others' best at the same epoch.

    Args:
        scores: the trial's, an epoch each.
        others: those of trials that have ended; shorter ones do not count.
    """
    num_epochs = len(scores)
    best = [max(other[:num_epochs]) for other in others if len(other) >= num_epochs]
    if num_epochs < LEAST_EPOCHS or len(best) < LEAST_TRIALS:
        return False
    return max(scores) < statistics.median(best)
