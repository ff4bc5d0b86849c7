"""The graph of categories that are confused with each other, and its communities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from labeling.answers.top_answers import TopAnswers
from labeling.issues.confident_learning import ConfidentJoint


@dataclass(frozen=True, eq=False)
class ConfusionGraph:
    """Two measures of each pair of K classes: 0 is distinguished always, 1 never (a coin does as well).

    Both compare the rows of one class with those of the other, so that a large class is not confused with a small one
    for its size alone.

    Args:
        by_probability: (K, K) symmetric; 1 less the coefficient of discrimination (Tjur 2009) of the probabilities of
            the two.
        by_decision: (K, K) symmetric; 1 less Youden's index (1950) of the classes that rows are confidently of.
    """

    by_probability: sparse.csr_matrix
    by_decision: sparse.csr_matrix

    @property
    def weights(self) -> sparse.csr_matrix:
        """(K, K), the smaller of the two measures; both have to say so."""
        return self.by_probability.minimum(self.by_decision)

    def between(self, classes: np.ndarray) -> np.ndarray:
        """(C, C) weights among some classes."""
        return np.asarray(self.weights[classes][:, classes].toarray())


def confusion_graph(answers: TopAnswers, classes: np.ndarray, joint: ConfidentJoint) -> ConfusionGraph:
    """Measure how far the classes of rows are distinguished.

    Args:
        answers: out of fold.
        classes: (N,) int, given.
        joint: of the same.
    """
    num_classes = joint.counts.shape[0]
    share = _mean_shares(answers, classes, num_classes)
    confident = joint.counts.tocoo()
    own = joint.counts.diagonal()
    is_other = confident.row != confident.col
    rows, columns, counts = confident.row[is_other], confident.col[is_other], confident.data[is_other]
    taken = sparse.csr_matrix((counts / (counts + own[rows]), (rows, columns)), joint.counts.shape)
    return ConfusionGraph(_both_ways(share), _both_ways(taken))


def communities(graph: ConfusionGraph, members: np.ndarray, least_confusion: float) -> list[np.ndarray]:
    """Find sets of classes that are confused with each other.

    Classes that are connected by a weight are grouped by average linkage (Sokal and Michener 1958), until the mean
    weight between two groups is below the least one; a chain of confusions, each with the next, is thus no community.

    Args:
        members: classes to look at.
        least_confusion: 0 to 1.
    Returns:
        ascending classes of each community of two or more, largest first.
    """
    weights = graph.weights[members][:, members]
    weights.data[weights.data < least_confusion] = 0
    weights.eliminate_zeros()
    _, component = connected_components(weights, directed=False)
    found = []
    for number in np.flatnonzero(np.bincount(component, minlength=1) > 1):
        found += _linked(graph, members[component == number], least_confusion)
    return sorted(found, key=lambda community: (-len(community), community[0]))


def _linked(graph: ConfusionGraph, component: np.ndarray, least_confusion: float) -> list[np.ndarray]:
    distances = 1 - graph.between(component)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    cluster = fcluster(tree, 1 - least_confusion + 1e-9, "distance")
    parts = [np.sort(component[cluster == number]) for number in np.unique(cluster)]
    return [part for part in parts if len(part) > 1]


def _mean_shares(answers: TopAnswers, classes: np.ndarray, num_classes: int) -> sparse.csr_matrix:
    """(K, K): over the rows of a class, the mean share of another in the probability of the two."""
    rows = np.flatnonzero(~np.isnan(answers.given))
    kept = answers.classes[rows].astype(np.int64)
    probabilities = answers.probabilities[rows].astype(np.float32)
    given = np.broadcast_to(classes[rows, None], kept.shape)
    is_used = (kept != given) & (probabilities > 0)
    both = probabilities + answers.given[rows, None]
    sums = sparse.csr_matrix(
        ((probabilities[is_used] / both[is_used]), (given[is_used], kept[is_used])), (num_classes, num_classes)
    )
    counts = np.bincount(classes[rows], minlength=num_classes)
    return sparse.diags(1 / np.maximum(counts, 1)) @ sums


def _both_ways(shares: sparse.csr_matrix) -> sparse.csr_matrix:
    """The sum of both directions, 1 at most; 0 where a pair is confused in one only."""
    total = sparse.csr_matrix(shares + shares.T)
    mutual = sparse.csr_matrix(total.multiply(shares.multiply(shares.T) > 0))
    mutual.data = np.minimum(mutual.data, 1)
    return mutual
