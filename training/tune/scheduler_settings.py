"""How trials are dealt out."""

from dataclasses import dataclass

#: Begins the names of the workers that this process has started.
LOCAL = "local-"
OVER_BUDGET = "the time was over"
SEARCH_STOPPED = "the search was stopped"
BELOW_MEDIAN = "below the median of the others"


@dataclass(frozen=True)
class SchedulerSettings:
    """How trials are dealt out.

    Args:
        num_trials: most trials.
        objective: name of the figure that is maximised.
        budget_s: seconds of search after which none begins and those that run end; None for no limit.
        max_consecutive_failures: so many failed trials in a row stop the search.
        max_losses: a trial whose worker was lost so often counts as failed.
        lease_s: a worker silent for longer is lost.
        median_rule: whether trials below the median end early.
    """

    num_trials: int
    objective: str
    budget_s: float | None = None
    max_consecutive_failures: int = 3
    max_losses: int = 3
    lease_s: float = 60.0
    median_rule: bool = True
