"""Analysis of the hyperparameters by the trials: rank correlation, importance and the Pareto front of costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kruskal, spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from training.tune.scheduling.trial import SCORED, SearchTrial

#: With fewer trials a correlation or a forest is meaningless.
MIN_TRIALS = 6
_NUM_TREES = 300
_NUM_PERMUTATIONS = 20
_SEED = 0


@dataclass(frozen=True)
class Effect:
    """The effect of one hyperparameter on the score.

    Args:
        test: "Spearman" for numbers, "Kruskal-Wallis" for names.
        strength: Spearman's rank correlation, -1 to 1; for names eta squared, 0 to 1. None when it is undefined.
        p_value: probability of at least this strength without an effect; not corrected for the number of tests.
        num_trials: trials in which it was active.
        importance: increase of the forest's error when this hyperparameter is shuffled, as a share of the sum over
            all, 0 to 1; None with too few trials.
    """

    name: str
    test: str
    strength: float | None
    p_value: float | None
    num_trials: int
    importance: float | None


@dataclass(frozen=True)
class Effects:
    """All hyperparameters that took more than one value, the most important first.

    Args:
        forest_fit: share of the score's variance that the forest explains out of bag, at most 1; with 0 or less the
            importances are meaningless. None with too few trials.
    """

    effects: tuple[Effect, ...]
    forest_fit: float | None


def scored_trials(trials: Sequence[SearchTrial]) -> list[SearchTrial]:
    """Return the trials with a score, each training once: the last of Hyperband's rounds."""
    parents = {trial.parent for trial in trials if trial.status in SCORED}
    return [trial for trial in trials if trial.score is not None and trial.trial_id not in parents]


def hyperparameter_names(trials: Sequence[SearchTrial]) -> list[str]:
    """Return the hyperparameters with more than one value, in the order of the space."""
    names: dict[str, set] = {}
    for trial in trials:
        for name, value in trial.hyperparameters.items():
            names.setdefault(name, set()).add(value)
    return [name for name, values in names.items() if len(values) > 1]


def measure_effects(trials: Sequence[SearchTrial]) -> Effects:
    """Measure the effect of every hyperparameter on `scored_trials`."""
    names = hyperparameter_names(trials)
    scores = np.array([trial.score for trial in trials], np.float64)
    importances, forest_fit = _importances(trials, names, scores)
    effects = [_effect(trials, name, scores, importances.get(name)) for name in names]
    order = sorted(effects, key=lambda effect: (-(effect.importance or 0.0), effect.p_value or 1.0))
    return Effects(tuple(order), forest_fit)


def is_number(trials: Sequence[SearchTrial], name: str) -> bool:
    """Return True when a hyperparameter's values are numbers."""
    values = [trial.hyperparameters[name] for trial in trials if name in trial.hyperparameters]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def pareto_front(trials: Sequence[SearchTrial], cost: str) -> set[str]:
    """Return the ids of the trials that no other exceeds in score without a higher cost.

    Args:
        cost: name of a figure of the trials; lower is better.
    """
    front: set[str] = set()
    best = -math.inf
    known = [trial for trial in trials if cost in trial.figures and trial.score is not None]
    for trial in sorted(known, key=lambda trial: (trial.figures[cost], -(trial.score or 0.0))):
        if (trial.score or 0.0) > best:
            best = trial.score or 0.0
            front.add(trial.trial_id)
    return front


def _effect(trials: Sequence[SearchTrial], name: str, scores: np.ndarray, importance: float | None) -> Effect:
    rows = [i for i, trial in enumerate(trials) if name in trial.hyperparameters]
    values = [trials[i].hyperparameters[name] for i in rows]
    own = scores[rows]
    test = "Spearman" if is_number(trials, name) else "Kruskal-Wallis"
    if len(rows) < MIN_TRIALS or len(set(own)) < 2 or len(set(values)) < 2:
        return Effect(name, test, None, None, len(rows), importance)
    if test == "Spearman":
        found: Any = spearmanr(values, own)
        return Effect(name, test, float(found.statistic), float(found.pvalue), len(rows), importance)
    groups = [own[[value == option for value in values]] for option in dict.fromkeys(values)]
    found = kruskal(*groups)
    degrees_of_freedom = len(rows) - len(groups)
    # Tomczak and Tomczak 2014, "The need to report effect size estimates revisited".
    strength = (
        max(0.0, (float(found.statistic) - len(groups) + 1) / degrees_of_freedom) if degrees_of_freedom > 0 else None
    )
    return Effect(name, test, strength, float(found.pvalue), len(rows), importance)


def _importances(
    trials: Sequence[SearchTrial], names: Sequence[str], scores: np.ndarray
) -> tuple[dict[str, float], float | None]:
    """Compute permutation importances on a random forest (Breiman 2001), as shares of their sum."""
    if len(trials) < MIN_TRIALS or not names or len(set(scores)) < 2:
        return {}, None
    points = np.column_stack([_encoded(trials, name) for name in names])
    forest = RandomForestRegressor(_NUM_TREES, oob_score=True, random_state=_SEED).fit(points, scores)
    found: Any = permutation_importance(forest, points, scores, n_repeats=_NUM_PERMUTATIONS, random_state=_SEED)
    growth = np.maximum(found.importances_mean, 0.0)
    shares = growth / growth.sum() if growth.sum() > 0 else growth
    return dict(zip(names, map(float, shares), strict=True)), float(forest.oob_score_)


def _encoded(trials: Sequence[SearchTrial], name: str) -> np.ndarray:
    """Encode a hyperparameter as (N,) numbers: names in order of first use; absent as the lowest or as a name."""
    values = [trial.hyperparameters.get(name) for trial in trials]
    if is_number(trials, name):
        known = [value for value in values if value is not None]
        absent = min(known) - 1
        return np.array([absent if value is None else value for value in values], np.float64)
    codes = {value: code for code, value in enumerate(dict.fromkeys(values))}
    return np.array([codes[value] for value in values], np.float64)
