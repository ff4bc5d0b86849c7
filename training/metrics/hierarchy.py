"""Metrics of mistakes in the category tree: hierarchical F1, and confused siblings."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.taxonomy import SEPARATOR, Taxonomy
from training.metrics.confidence import ratio
from training.metrics.outcomes import Outcomes


@dataclass(frozen=True)
class SiblingPair:
    """Two leaves of one parent that are confused.

    Args:
        parent: their path without the last level; '' for leaves at the top.
        first, second: the last levels of the two.
        num_first: products of `first`, of which `num_first_as_second` were answered with `second`.
        num_second: products of `second`, of which `num_second_as_first` were answered with `first`.
    """

    parent: str
    first: str
    second: str
    num_first: int
    num_second: int
    num_first_as_second: int
    num_second_as_first: int


def hierarchical_metrics(labels: np.ndarray, predicted: np.ndarray, taxonomy: Taxonomy) -> dict[str, float | None]:
    """Compute precision, recall and F1 over answers and labels with all their ancestors, summed over rows.

    An answer with the right parent shares all levels but the last and costs little, one in another top level shares
    none. Leaves count as well, so that all three equal the accuracy in a flat tree.

    Args:
        labels, predicted: (N,) integer classes.
    Returns:
        hierarchical_precision, hierarchical_recall, hierarchical_f1, 0 to 1; None without rows.
    Source: Kiritchenko et al. 2006, "Learning and Evaluation in the Presence of Class Hierarchies"; the root
        is left out.
    """
    depths = _leaf_depths(taxonomy)
    num_shared = int(_num_shared_levels(labels, predicted, taxonomy, depths).sum())
    num_answered, num_true = int(depths[predicted].sum()), int(depths[labels].sum())
    return {
        "hierarchical_precision": ratio(num_shared, num_answered),
        "hierarchical_recall": ratio(num_shared, num_true),
        "hierarchical_f1": ratio(2 * num_shared, num_answered + num_true),
    }


def mistake_metrics(outcomes: Outcomes, taxonomy: Taxonomy) -> dict[str, Any]:
    """Divide the wrong answers by their distance from the label in the tree.

    Returns:
        count; sibling_share: answers with the same parent; same_top_share: below the same top level, siblings
        included; other_top_share: all others. Shares are of the mistakes, None without any.
    """
    wrong = outcomes.select(~outcomes.is_correct)
    parents, tops = _parents(taxonomy), taxonomy.leaf_to_node[0]
    is_sibling = parents[wrong.labels] == parents[wrong.predicted]
    has_same_top = tops[wrong.labels] == tops[wrong.predicted]
    return {
        "count": len(wrong),
        "sibling_share": ratio(is_sibling.sum(), len(wrong)),
        "same_top_share": ratio(has_same_top.sum(), len(wrong)),
        "other_top_share": ratio((~has_same_top).sum(), len(wrong)),
    }


def sibling_pairs(outcomes: Outcomes, taxonomy: Taxonomy) -> list[SiblingPair]:
    """List siblings that are confused in either direction, the most mistakes first; ties in class order."""
    wrong = outcomes.select(~outcomes.is_correct)
    parents = _parents(taxonomy)
    siblings = wrong.select(parents[wrong.labels] == parents[wrong.predicted])
    support = np.bincount(outcomes.labels, minlength=taxonomy.num_leaves)
    first = np.minimum(siblings.labels, siblings.predicted).astype(np.int64)
    second = np.maximum(siblings.labels, siblings.predicted)
    codes, pair_of_row = np.unique(first * taxonomy.num_leaves + second, return_inverse=True)
    is_forward = siblings.labels == first
    forward = np.bincount(pair_of_row, weights=is_forward, minlength=len(codes)).astype(int)
    backward = np.bincount(pair_of_row, weights=~is_forward, minlength=len(codes)).astype(int)
    pairs = []
    for i in np.argsort(-(forward + backward), kind="stable"):
        one, other = divmod(int(codes[i]), taxonomy.num_leaves)
        parent, _, one_name = taxonomy.leaves[one].rpartition(SEPARATOR)
        other_name = taxonomy.leaves[other].rpartition(SEPARATOR)[2]
        counts = int(support[one]), int(support[other]), int(forward[i]), int(backward[i])
        pairs.append(SiblingPair(parent, one_name, other_name, *counts))
    return pairs


def _leaf_depths(taxonomy: Taxonomy) -> np.ndarray:
    return np.array([leaf.count(SEPARATOR) + 1 for leaf in taxonomy.leaves])


def _num_shared_levels(labels: np.ndarray, predicted: np.ndarray, taxonomy: Taxonomy, depths: np.ndarray) -> np.ndarray:
    """Return (N,) the number of levels that label and answer share."""
    num_shared = np.zeros(len(labels), int)
    for depth, above in enumerate(taxonomy.leaf_to_node, start=1):
        num_shared += (above[labels] == above[predicted]) & (depth <= depths[labels])
    return num_shared


def _parents(taxonomy: Taxonomy) -> np.ndarray:
    """Return (K,) a number for the parent of each leaf; leaves at the top share one."""
    paths = [leaf.rpartition(SEPARATOR)[0] for leaf in taxonomy.leaves]
    numbers = {path: i for i, path in enumerate(dict.fromkeys(paths))}
    return np.array([numbers[path] for path in paths])
