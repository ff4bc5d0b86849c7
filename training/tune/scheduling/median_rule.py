"""The median stopping rule, which ends unpromising trials early (Golovin et al. 2017, "Google Vizier")."""

import statistics
from collections.abc import Sequence

#: Fewest trials to compare with.
MIN_TRIALS = 4
#: Epochs that every trial gets, because a first epoch says little while the learning rate is warming up.
MIN_EPOCHS = 2


def is_below_median(scores: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Return True when a trial's best score so far is below the median of the others' best at the same epoch.

    Args:
        scores: the trial's score after each epoch.
        others: the scores of trials that have ended; shorter ones do not count.
    """
    num_epochs = len(scores)
    best = [max(other[:num_epochs]) for other in others if len(other) >= num_epochs]
    if num_epochs < MIN_EPOCHS or len(best) < MIN_TRIALS:
        return False
    return max(scores) < statistics.median(best)
