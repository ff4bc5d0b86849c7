"""Learns a matcher from labelled pairs, or from those that a catalog gives without people."""

import dataclasses
import math

from tqdm import tqdm

from retrieval.index.engine import IndexEngine
from retrieval.matching.grouped_pairs import grouped_pairs
from retrieval.matching.matcher.match_metrics import best_f1_threshold, expected_precision_threshold
from retrieval.matching.matcher.matcher import PLANTED, KnownPairs, Matcher, PairScorer
from retrieval.matching.matcher.matcher_training import LabelledPairs, MatcherTrainer
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.planted_pairs import PlantedPairs, planted_pairs
from retrieval.matching.self_training import NUM_ROUNDS, ignored_features, self_trained_pairs
from retrieval.settings import MatcherSettings

#: Fewer trees that count more, for a catalog teaches itself in rounds; and fewer folds, for they measure only how well
#: edits are told, not the catalog's own pairs.
_PART_OF_TREES, _NUM_FOLDS = 0.3, 2


def train_without_pairs(table: OfferTable, settings: MatcherSettings, engine: IndexEngine | None) -> Matcher:
    """Learn from the groups of a catalog, or, where it has none, from edits of its offers.

    An offer's nearest may be duplicates of it: trees that learned from edits say where they are sure, and the matcher
    learns from that, so that it sees what sellers really write. It does not learn from vectors, which edits have not.
    """
    if any(offer.group_id for offer in table.offers):
        return train_matcher(table, grouped_pairs(table, settings.seed), settings, engine, "group_id")
    planted = planted_pairs(table, settings.seed)
    num_trees = math.ceil(_PART_OF_TREES * settings.num_trees)
    quick = dataclasses.replace(
        settings,
        num_folds=_NUM_FOLDS,
        num_trees=num_trees,
        learning_rate=min(settings.learning_rate / _PART_OF_TREES, 1.0),
    )
    with tqdm(desc="Learn from edits", total=NUM_ROUNDS, unit=" rounds") as bar:
        pairs = self_trained_pairs(planted, quick, bar.update)
    matcher = train_matcher(planted.table, pairs, quick, engine, PLANTED)
    return _of_catalog(matcher, planted)


def _of_catalog(matcher: Matcher, planted: PlantedPairs) -> Matcher:
    """The matcher with thresholds for the pairs of the catalog, not for the edits.

    The trees' probabilities stand as they are: a calibration on what was believed would only make them surer.
    """
    uncalibrated = dataclasses.replace(matcher.description, slope=1.0, offset=0.0)
    found = Matcher(uncalibrated, matcher.evidence, matcher.trees, matcher.known)
    probabilities = PairScorer(found, planted.table).probabilities(*planted.nearest.T)
    f1_threshold = best_f1_threshold(probabilities)
    promised_threshold = expected_precision_threshold(probabilities, uncalibrated.precision)
    description = dataclasses.replace(uncalibrated, f1_threshold=f1_threshold, promised_threshold=promised_threshold)
    return Matcher(description, found.evidence, found.trees, KnownPairs(probabilities, probabilities >= f1_threshold))


def train_matcher(
    table: OfferTable, pairs: LabelledPairs, settings: MatcherSettings, engine: IndexEngine | None, learned_from: str
) -> Matcher:
    """Learn a matcher from pairs, with a progress bar."""
    with tqdm(desc="Fit trees", unit=" models") as bar:
        is_planted = learned_from == PLANTED
        ignored = ignored_features(table) if is_planted else ()
        trainer = MatcherTrainer(table, pairs, settings, bar.update, not is_planted, ignored)
        bar.total = trainer.num_steps
        return trainer.train(learned_from, "" if engine is None else engine.description.embedding_checksum)
