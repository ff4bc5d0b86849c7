"""The matcher: the probability that two offers are one product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.matching.matcher.match_metrics import expected_precision_threshold
from retrieval.matching.matcher.pair_features import feature_names, pair_features
from retrieval.matching.matcher.word_evidence import WordEvidence
from retrieval.matching.offers.offer_table import OfferTable
from training.ensemble.precision_contract import precision_threshold

if TYPE_CHECKING:
    import lightgbm  # takes a second to load, which other commands need not wait for

#: What the word evidence is called among the features.
EVIDENCE = "words.learned"
#: What a matcher was learned from where nobody labelled its pairs.
PLANTED = "planted edits"
_LEAST_PROBABILITY = 1e-6
#: Pairs compared at a time, so that their features take little memory.
_CHUNK_PAIRS = 16_384
#: Pairs for which it pays to start threads.
_MANY_PAIRS = 1024


@dataclass(frozen=True)
class MatcherDescription:
    """The description of a matcher, which is stored with it.

    Args:
        features: that its trees read, in order.
        embedding_checksum: of the index whose vectors it compares; '' for none.
        slope, offset: of the calibration (Platt 1999): calibrated logit = slope * logit of the trees + offset.
        f1_threshold: least probability that counts as the same where F1 is to be highest.
        precision, confidence: what is promised, and how surely.
        promised_threshold: least probability under the promise; above 1 where it could not be shown.
        learned_from: where the labels are from: "pairs", "group_id" or "planted edits".
        created: time, ISO 8601.
        metrics: cross-fitted on the pairs that it was trained on, and on those kept apart.
    """

    features: tuple[str, ...]
    embedding_checksum: str
    slope: float
    offset: float
    f1_threshold: float
    precision: float
    confidence: float
    promised_threshold: float
    learned_from: str
    created: str
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownPairs:
    """Labelled pairs with the probabilities that models gave them which had not seen them.

    Args:
        probabilities: (P,) float32.
        same: (P,) bool; what the matcher believes itself, where it was learned from planted edits.
    """

    probabilities: np.ndarray
    same: np.ndarray


class Matcher:
    """Computes the probability that pairs of offers are one product. Thread-safe.

    Args:
        trees: gradient boosted trees (LightGBM, Ke et al. 2017), whose probabilities are averaged.
        known: the pairs that it was trained on.
    """

    def __init__(
        self,
        description: MatcherDescription,
        evidence: WordEvidence,
        trees: Sequence[lightgbm.Booster],
        known: KnownPairs,
    ):
        self.description = description
        self.evidence = evidence
        self.trees = list(trees)
        self.known = known

    def threshold(self, precision: float) -> float:
        """The least probability from which a pair is surely the same; above 1 where that cannot be shown.

        Args:
            precision: share of such pairs that shall be right, 0 to 1.
        """
        if precision == self.description.precision:
            return self.description.promised_threshold
        known, confidence = self.known, self.description.confidence
        if self.description.learned_from == PLANTED:
            return expected_precision_threshold(known.probabilities, precision)
        return precision_threshold(known.probabilities, known.same, precision, confidence)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs with these features; the same whichever offer is left."""
        if not len(features):
            return np.zeros(0, np.float32)
        num_threads = 1 if len(features) < _MANY_PAIRS else 0  # 0 is all cores
        mean = np.mean([trees.predict(features, num_threads=num_threads) for trees in self.trees], axis=0)
        return calibrated(mean, self.description.slope, self.description.offset)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(P, F) float32, what each feature adds to a pair's log odds, by Shapley values (Lundberg et al. 2020)."""
        found = np.mean([trees.predict(features, pred_contrib=True) for trees in self.trees], axis=0)
        return np.asarray(self.description.slope * found[:, :-1], np.float32)


class PairScorer:
    """Compares the offers of a table with a matcher."""

    def __init__(self, matcher: Matcher, table: OfferTable):
        self.matcher = matcher
        self.table = table
        self._evidence = matcher.evidence.of_words(table.words.columns)

    def features(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P, F) float32, what the matcher reads of pairs of offers.

        Args:
            left, right: (P,) positions in the table.
        """
        return matcher_features(
            pair_features(self.table, left, right), self._evidence.log_odds(self.table, left, right)
        )

    def probabilities(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) float32, that pairs of offers are one product; of any number of pairs."""
        found = np.zeros(len(left), np.float32)
        for start in range(0, len(left), _CHUNK_PAIRS):
            part = slice(start, start + _CHUNK_PAIRS)
            found[part] = self.matcher.probabilities(self.features(left[part], right[part]))
        return found


def matcher_features(pairs: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """(P, F + 1) float32, the features of pairs with the word evidence as the last."""
    return np.column_stack([pairs, evidence]).astype(np.float32)


def matcher_feature_names() -> tuple[str, ...]:
    """Names of the matcher's features, in order."""
    return (*feature_names(), EVIDENCE)


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, finite."""
    clipped = np.clip(probabilities.astype(np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(clipped / (1 - clipped))


def calibrated(probabilities: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """(P,) float32 probabilities after calibration."""
    return (1 / (1 + np.exp(-(slope * logits(probabilities) + offset)))).astype(np.float32)
