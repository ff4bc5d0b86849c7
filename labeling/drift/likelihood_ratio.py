"""Evidence that two shares differ."""

import math


def log_likelihood_ratio(count: int, total: int, other_count: int, other_total: int) -> float:
    """Twice the gain in log likelihood of two shares over one (Dunning 1993).

    It is chi-square distributed with one degree of freedom where the two are drawn alike.

    Args:
        count, total: of the one sample; a total is 1 or more.
        other_count, other_total: of the other.
    """
    joint = (count + other_count) / (total + other_total)

    def likelihood(successes: int, trials: int, share: float) -> float:
        hits = successes * math.log(share) if successes else 0.0
        misses = (trials - successes) * math.log1p(-share) if successes < trials else 0.0
        return hits + misses

    own, other = count / total, other_count / other_total
    return 2 * (
        likelihood(count, total, own)
        + likelihood(other_count, other_total, other)
        - likelihood(count, total, joint)
        - likelihood(other_count, other_total, joint)
    )
