"""Finds the offers of a catalog that are one product."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retrieval.index.engine import IndexEngine
from retrieval.matching.candidates import candidate_pairs
from retrieval.matching.grouping import Probabilities, ProductGroup, group_offers
from retrieval.matching.matcher.matcher import PairScorer
from retrieval.matching.rivals import divided_among_rivals

#: Pairs less probable than this are not kept.
_KEPT_PROBABILITY = 0.05
#: Pairs more probable than this are divided among their rivals.
_LIKELY = 0.5


@dataclass(frozen=True)
class Duplicates:
    """What was found in a catalog.

    Args:
        groups: largest first.
        pairs: (P, 2) int64 positions of candidates that are worth a look.
        probabilities: (P,) float32 that they are the same, those of likely pairs divided among rivals.
        num_compared: candidates in all.
    """

    groups: list[ProductGroup]
    pairs: np.ndarray
    probabilities: np.ndarray
    num_compared: int


def find_duplicates(
    scorer: PairScorer,
    threshold: float,
    engine: IndexEngine | None = None,
    on_offers: Callable[[int], object] = lambda _: None,
) -> Duplicates:
    """Compare each offer with its candidates and group those that are one product.

    Args:
        threshold: probability from which a pair is surely the same.
        engine: an index that proposes candidates too.
        on_offers: called with the number of offers just compared.
    """
    pairs, probabilities, num_compared = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    for num_offers, chunk in candidate_pairs(scorer.table, engine):
        found = scorer.probabilities(chunk[:, 0], chunk[:, 1])
        kept = found >= _KEPT_PROBABILITY
        pairs.append(chunk[kept])
        probabilities.append(found[kept])
        num_compared += len(chunk)
        on_offers(num_offers)
    unique, first = np.unique(np.concatenate(pairs), axis=0, return_index=True)
    values = np.concatenate(probabilities)[first]
    values = divided_among_rivals(unique, values, values >= _LIKELY, scorer.probabilities)
    groups = list(group_offers(unique, values, threshold, _with_known(scorer, unique, values)))
    groups.sort(key=lambda group: (-len(group.members), int(group.members[0])))
    return Duplicates(groups, unique, values, num_compared)


def _with_known(scorer: PairScorer, pairs: np.ndarray, probabilities: np.ndarray) -> Probabilities:
    """Probabilities of any pairs, no larger than those that are known.

    Args:
        pairs: (P, 2) int64, the smaller position first, ascending.
        probabilities: (P,) float32.
    """
    size = len(scorer.table)
    keys = np.append(pairs[:, 0] * size + pairs[:, 1], np.int64(size) ** 2)
    known = np.append(probabilities, np.float32(1))

    def compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        asked = np.minimum(left, right) * size + np.maximum(left, right)
        places = np.searchsorted(keys, asked)
        return np.minimum(scorer.probabilities(left, right), np.where(keys[places] == asked, known[places], 1))

    return compare
