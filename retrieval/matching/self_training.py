"""Labels for a catalog's own pairs, from trees that learned from planted edits (self-training, Yarowsky 1995)."""

from collections.abc import Callable, Collection

import numpy as np

from retrieval.matching.matcher.matcher_training import LabelledPairs, fitted_trees, without_groups
from retrieval.matching.matcher.pair_features import pair_features
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.planted_pairs import PlantedPairs
from retrieval.settings import MatcherSettings

#: Where trees are so sure of an offer's nearest, the next ones learn from it; that two offers differ is believed less
#: easily, because every wrong belief hides duplicates.
_SURE_OF_OTHERS, _SURE_OF_SAME = 0.03, 0.6
NUM_ROUNDS = 5
#: What a planted pair counts beside a believed one in the end: edits are there to begin with.
_PLANTED_WEIGHT = 0.1


def self_trained_pairs(
    planted: PlantedPairs, settings: MatcherSettings, on_round: Callable[[], object] = lambda: None
) -> LabelledPairs:
    """Label offers and their nearest where trees are sure, round by round.

    Args:
        settings: of the trees.
        on_round: called after each of `NUM_ROUNDS` rounds.
    Returns:
        the planted pairs, weighted, and after them those that are believed.
    """
    left, right = planted.nearest.T
    edits, nearest = (
        without_groups(pair_features(planted.table, *pairs), ignored_features(planted.table))
        for pairs in ((planted.pairs.left, planted.pairs.right), (left, right))
    )
    features, same = edits, planted.pairs.same
    for _ in range(NUM_ROUNDS):
        probabilities = np.asarray(fitted_trees(features, same, settings).predict(nearest))
        is_same = probabilities > _SURE_OF_SAME
        sure = is_same | (probabilities < _SURE_OF_OTHERS)
        features = np.concatenate([edits, nearest[sure]])
        same = np.concatenate([planted.pairs.same, is_same[sure]])
        on_round()
    return LabelledPairs(
        np.concatenate([planted.pairs.left, left[sure]]),
        np.concatenate([planted.pairs.right, right[sure]]),
        same,
        np.repeat([_PLANTED_WEIGHT, 1.0], [len(edits), int(sure.sum())]),
    )


def ignored_features(table: OfferTable) -> Collection[str]:
    """Groups of features that a catalog cannot teach itself.

    Within one source a product may have any number of offers, and each of them is among the nearest of the others; a
    planted copy is alone. So the place among the nearest would tell copies from offers.
    """
    return ("context",) if len({offer.source for offer in table.offers}) == 1 else ()
