"""Why a pair is or is not one product, in a line."""

import numpy as np

from retrieval.matching.matcher.matcher import Matcher
from retrieval.matching.matcher.pair_features import feature_group

_NUM_NAMED = 3
_LEAST_LOG_ODDS = 0.1


def group_contributions(matcher: Matcher, features: np.ndarray) -> dict[str, np.ndarray]:
    """What each group of features adds to the log odds of pairs.

    Returns:
        (P,) float32 by group.
    """
    if not len(features):  # LightGBM raises for no rows
        return {}
    contributions = matcher.contributions(features)
    groups: dict[str, np.ndarray] = {}
    for column, name in enumerate(matcher.description.features):
        group = feature_group(name)
        groups[group] = groups.get(group, np.zeros(len(features), np.float32)) + contributions[:, column]
    return groups


def reasons(matcher: Matcher, features: np.ndarray) -> list[str]:
    """For each pair what spoke for and against it, strongest first: 'for: words +2.1; against: price -0.8'."""
    groups = group_contributions(matcher, features)
    if not groups:
        return []
    names, values = list(groups), np.column_stack(list(groups.values()))
    return ["; ".join(filter(None, (_named("for", names, row), _named("against", names, -row)))) for row in values]


def _named(word: str, names: list[str], values: np.ndarray) -> str:
    strongest = [i for i in np.argsort(-values)[:_NUM_NAMED] if values[i] >= _LEAST_LOG_ODDS]
    sign = "+" if word == "for" else "-"
    listed = ", ".join(f"{names[i]} {sign}{values[i]:.1f}" for i in strongest)
    return f"{word}: {listed}" if listed else ""
