"""Metrics of the precision contract: of the answers handed out as accepted, how many are right.

An answer is right when the accepted node is the label or an ancestor of it. The contract is kept where the share of
right ones reaches the promise; the interval says what other rows might have shown, of which near-duplicates say no more
than one of them.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import beta

from model.prediction.answers import Answers
from model.taxonomy import Taxonomy
from training.metrics.confidence import ratio

#: Confidence of the intervals.
INTERVAL_CONFIDENCE = 0.95


def contract_metrics(
    labels: np.ndarray, answers: Answers, taxonomy: Taxonomy, precision_target: float, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Measure what was handed out as accepted, at whatever depth, and at each depth.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
        precision_target: the promised share, 0 to 1.
        weights: (N,) float, what a row counts in the intervals; near-duplicates share one; None is 1 for all.
    Returns:
        count; precision_target; `acceptance_metrics` of all rows; leaf_accepted_share and leaf_accepted_precision;
        needs_review_share (no leaf accepted); depths, a list with depth and `acceptance_metrics` of the rows whose
        deepest accepted node is there. A share over no rows is None.
    """
    count = len(labels)
    if count != len(answers):
        raise ValueError(f"expected an answer for each of {count} labels, found {len(answers)}")
    is_leaf, is_right = accepted_flags(labels, answers, taxonomy)
    return {
        "count": count,
        "precision_target": precision_target,
        **acceptance_metrics(answers.accepted_depths > 0, is_right, precision_target, weights),
        "leaf_accepted_share": ratio(is_leaf.sum(), count),
        "leaf_accepted_precision": ratio((is_right & is_leaf).sum(), is_leaf.sum()),
        "needs_review_share": ratio(count - is_leaf.sum(), count),
        "depths": [
            {
                "depth": depth,
                **acceptance_metrics(answers.accepted_depths == depth, is_right, precision_target, weights),
            }
            for depth in range(1, taxonomy.depth + 1)
        ],
    }


def acceptance_metrics(
    is_accepted: np.ndarray, is_right: np.ndarray, precision_target: float, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Measure one set of accepted answers.

    Args:
        is_accepted, is_right: (N,) bool.
        weights: see `contract_metrics`.
    Returns:
        num_accepted; accepted_share; accepted_precision and precision_interval, two ends (Clopper and Pearson 1934);
        is_kept, True where the precision reaches the target. None in place of the last three without accepted answers.
    """
    num_accepted, num_right = int(is_accepted.sum()), int((is_right & is_accepted).sum())
    precision = ratio(num_right, num_accepted)
    mass = num_accepted if weights is None else float(weights[is_accepted].sum())
    return {
        "num_accepted": num_accepted,
        "accepted_share": ratio(num_accepted, len(is_accepted)),
        "accepted_precision": precision,
        "precision_interval": None if precision is None else list(share_interval(precision * mass, mass)),
        "is_kept": None if precision is None else precision >= precision_target,
    }


def share_interval(hits: float, total: float, confidence: float = INTERVAL_CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a binomial share (Clopper and Pearson 1934); `total` is above 0."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, total - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, total - hits)) if hits < total else 1.0
    return low, high


def accepted_flags(labels: np.ndarray, answers: Answers, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Return flags of the rows accepted at a leaf, and of those whose accepted node is the label or an ancestor of it.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
    Returns:
        (N,) bool each; False when nothing is accepted.
    """
    is_leaf = np.zeros(len(labels), bool)
    is_right = np.zeros(len(labels), bool)
    for depth in range(1, taxonomy.depth + 1):
        rows = np.flatnonzero(answers.accepted_depths == depth)
        nodes = answers.accepted_nodes[rows]
        is_right[rows] = taxonomy.leaf_to_node[depth - 1][labels[rows]] == nodes
        is_leaf[rows] = _leaf_flags(taxonomy)[depth - 1][nodes]
    return is_leaf, is_right


def leaf_accepted_flags(labels: np.ndarray, answers: Answers, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Return flags of the rows accepted at a leaf, and of those among them that are right.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
    Returns:
        (N,) bool each.
    """
    is_leaf, is_right = accepted_flags(labels, answers, taxonomy)
    return is_leaf, is_leaf & is_right


@lru_cache(maxsize=2)  # the field grid needs the same one for every batch
def _leaf_flags(taxonomy: Taxonomy) -> list[np.ndarray]:
    """Return for each level (nodes,) bool, True for leaves."""
    return [np.array([taxonomy.class_of(node) is not None for node in level]) for level in taxonomy.levels]
