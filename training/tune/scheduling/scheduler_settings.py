"""Settings of the scheduler of trials."""

from dataclasses import dataclass

#: Prefix of the names of workers that this process has started.
LOCAL = "local-"
OVER_BUDGET = "the time budget was spent"
SEARCH_STOPPED = "the search was stopped"
BELOW_MEDIAN = "below the median of the others"


@dataclass(frozen=True)
class SchedulerSettings:
    """Limits and rules of the scheduler.

    Args:
        num_trials: most trials.
        objective: name of the metric that is maximised.
        budget_s: time budget, seconds, after which no trial begins and running ones end; None for no limit.
        max_consecutive_failures: consecutive failed trials that stop the search.
        max_losses: lost workers after which a trial counts as failed.
        lease_s: time without a message after which a worker counts as lost, seconds.
        median_rule: end trials below the median early.
        begins_with_base: train the base settings first, though they be no point of the space; the search algorithm
            takes their score for that of the nearest point.
    """

    num_trials: int
    objective: str
    budget_s: float | None = None
    max_consecutive_failures: int = 3
    max_losses: int = 3
    lease_s: float = 60.0
    median_rule: bool = True
    begins_with_base: bool = False
