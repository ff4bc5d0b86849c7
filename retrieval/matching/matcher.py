"""The matcher: the probability that two offers are one product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np

from retrieval.matching.offer_table import OfferTable
from retrieval.matching.pair_features import feature_names, pair_features
from retrieval.matching.word_evidence import WordEvidence

#: What the word evidence is called among the features.
EVIDENCE = "words.learned"
#: Threshold of a promise that could not be shown: no probability reaches it.
NEVER = 2.0
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class MatcherDescription:
    """What is told about a matcher.

    Args:
        features: that its trees read, in order.
        embedding_checksum: of the index whose vectors it compares; '' for none.
        slope, offset: of the calibration (Platt 1999): calibrated logit = slope * logit of the trees + offset.
        f1_threshold: least probability that counts as the same where F1 is to be highest.
        precision, confidence: what is promised, and how surely.
        promised_threshold: least probability under the promise; NEVER where it could not be shown.
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


class Matcher:
    """Computes the probability that pairs of offers are one product. Thread-safe.

    Args:
        trees: gradient boosted trees (LightGBM, Ke et al. 2017), whose probabilities are averaged.
    """

    def __init__(self, description: MatcherDescription, evidence: WordEvidence, trees: Sequence[lightgbm.Booster]):
        self.description = description
        self.evidence = evidence
        self.trees = list(trees)

    def features(self, table: OfferTable, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P, F) float32, what the trees read of pairs of offers.

        Args:
            left, right: (P,) positions in the table.
        """
        return matcher_features(pair_features(table, left, right), self.evidence.log_odds(table, left, right))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(P,) float32, of pairs with these features; the same whichever offer is left."""
        mean = np.mean([trees.predict(features) for trees in self.trees], axis=0) if len(features) else np.zeros(0)
        return calibrated(mean, self.description.slope, self.description.offset)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(P, F) float32, what each feature adds to a pair's log odds, by Shapley values (Lundberg et al. 2020)."""
        found = np.mean([trees.predict(features, pred_contrib=True) for trees in self.trees], axis=0)
        return np.asarray(self.description.slope * found[:, :-1], np.float32)


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
