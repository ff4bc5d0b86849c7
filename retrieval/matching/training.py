"""Learns a matcher from labelled pairs, or from those that a catalog gives without people."""

import dataclasses

import numpy as np
from tqdm import tqdm

from retrieval.index.engine import IndexEngine
from retrieval.matching.grouped_pairs import grouped_pairs
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.matcher.matcher_training import LabelledPairs, MatcherTrainer
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.planted_pairs import planted_pairs
from retrieval.settings import MatcherSettings

#: Where a matcher is so sure of an offer's nearest, the next one learns from it; that two offers differ is believed
#: less easily, because every wrong belief hides duplicates.
_SURE_OF_OTHERS, _SURE_OF_SAME = 0.03, 0.6
_NUM_ROUNDS, _TREES_OF_A_ROUND = 3, 200
PLANTED = "planted edits"


def train_without_pairs(table: OfferTable, settings: MatcherSettings, engine: IndexEngine | None) -> Matcher:
    """Learn from the groups of a catalog, or, where it has none, from edits of its offers.

    An offer's nearest may be duplicates of it: a first matcher, which has not seen them, says where it is sure, and the
    next one learns from that too, so that it sees what sellers really write (self-training, Yarowsky 1995).
    """
    if any(offer.group_id for offer in table.offers):
        return train_matcher(table, grouped_pairs(table, settings.seed), settings, engine, "group_id")
    planted = planted_pairs(table, settings.seed)
    left, right = planted.nearest.T
    pairs, quick = planted.pairs, dataclasses.replace(settings, num_models=1, num_trees=_TREES_OF_A_ROUND)
    for _ in range(_NUM_ROUNDS):
        matcher = train_matcher(planted.table, pairs, quick, engine, PLANTED)
        probabilities = PairScorer(matcher, planted.table).probabilities(left, right)
        sure = (probabilities < _SURE_OF_OTHERS) | (probabilities > _SURE_OF_SAME)
        pairs = LabelledPairs(
            np.concatenate([planted.pairs.left, left[sure]]),
            np.concatenate([planted.pairs.right, right[sure]]),
            np.concatenate([planted.pairs.same, probabilities[sure] > _SURE_OF_SAME]),
        )
    return train_matcher(planted.table, pairs, settings, engine, PLANTED)


def train_matcher(
    table: OfferTable, pairs: LabelledPairs, settings: MatcherSettings, engine: IndexEngine | None, learned_from: str
) -> Matcher:
    """Learn a matcher from pairs, with a progress bar."""
    with tqdm(desc="Fit trees", unit=" models") as bar:
        trainer = MatcherTrainer(table, pairs, settings, bar.update, learns_words=learned_from != PLANTED)
        bar.total = trainer.num_steps
        return trainer.train(learned_from, "" if engine is None else engine.description.embedding_checksum)
