"""Groups of one product from the probabilities of pairs, never chained through a weak link.

Complete linkage (Sørensen 1948): every two offers of a group may well be the same, and every offer is surely the same
as another of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

#: Two offers of a group are the same with at least this probability: in doubt, which the others of the group settle.
LEAST_PROBABILITY = 0.3
#: Offers that sure pairs connect are split further by a higher threshold where they are more.
_MOST_COMPARED = 400
_STRICTER = 0.5
_NEVER_SURER = 1e-6

#: (P,) probabilities of pairs of offers, by their positions.
Probabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ProductGroup:
    """Offers of one product.

    Args:
        members: (M,) int64 positions, ascending; two or more.
        probabilities: (M,) float32, the mean with which each is the same as the others.
    """

    members: np.ndarray
    probabilities: np.ndarray


def group_offers(
    pairs: np.ndarray, probabilities: np.ndarray, threshold: float, compare: Probabilities
) -> Iterator[ProductGroup]:
    """Group offers.

    Args:
        pairs: (P, 2) int64 positions of candidates, each once.
        probabilities: (P,) that they are the same.
        threshold: from which a pair is surely the same.
        compare: asked once, for all pairs of offers that sure ones connect.
    """
    connected = list(_small_components(pairs, probabilities, threshold))
    inside = [np.triu_indices(len(offers), 1) for offers, _ in connected]
    left = [offers[rows] for (offers, _), (rows, _) in zip(connected, inside, strict=True)]
    right = [offers[columns] for (offers, _), (_, columns) in zip(connected, inside, strict=True)]
    if not connected:
        return
    found = compare(np.concatenate(left), np.concatenate(right))
    ends = np.cumsum([len(part) for part in left])[:-1]
    for (offers, sure), values in zip(connected, np.split(found, ends), strict=True):
        yield from _complete(offers, values, sure)


def _small_components(
    pairs: np.ndarray, probabilities: np.ndarray, threshold: float
) -> Iterator[tuple[np.ndarray, float]]:
    """Offers that sure pairs connect, with the threshold of sure; one that has too many is split by a higher one."""
    for offers in _connected(pairs[probabilities >= threshold]):
        stricter = threshold + _STRICTER * (1 - threshold)
        if len(offers) <= _MOST_COMPARED:
            yield offers, threshold
        elif stricter < 1 - _NEVER_SURER:
            inside = np.isin(pairs[:, 0], offers) & np.isin(pairs[:, 1], offers)
            yield from _small_components(pairs[inside], probabilities[inside], stricter)


def _complete(offers: np.ndarray, probabilities: np.ndarray, threshold: float) -> Iterator[ProductGroup]:
    """Groups among offers that sure pairs connect.

    Args:
        probabilities: of all their pairs, by rows.
    """
    matrix = squareform(probabilities)
    labels = np.ones(len(offers), int)
    if len(offers) > 2:
        distances = squareform(1 - matrix - np.eye(len(offers), dtype=np.float32), checks=False)
        labels = fcluster(linkage(distances, "complete"), 1 - LEAST_PROBABILITY, "distance")
    for label in np.unique(labels):
        chosen = np.flatnonzero(labels == label)
        sure = np.argwhere(np.triu(matrix[np.ix_(chosen, chosen)] >= threshold, 1))
        for inside in _connected(sure):
            members = chosen[inside]
            means = matrix[np.ix_(members, members)].sum(axis=1) / (len(members) - 1)
            yield ProductGroup(offers[members], means)


def _connected(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """Positions that pairs connect, ascending, two or more at a time."""
    if not len(pairs):
        return
    positions, numbers = np.unique(pairs, return_inverse=True)
    numbers = numbers.reshape(pairs.shape)
    links = csr_matrix((np.ones(len(pairs), bool), numbers.T), (len(positions), len(positions)))
    _, labels = connected_components(links, directed=False)
    order = np.argsort(labels, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        yield positions[part]
