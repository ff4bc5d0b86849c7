"""Learns a matcher from labelled pairs: word evidence, gradient boosted trees, calibration and thresholds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from model.errors import MatcherError
from retrieval.matching.matcher.match_metrics import best_f1_threshold, match_metrics
from retrieval.matching.matcher.matcher import (
    KnownPairs,
    Matcher,
    MatcherDescription,
    calibrated,
    logits,
    matcher_feature_names,
    matcher_features,
)
from retrieval.matching.matcher.pair_features import feature_group, feature_names, pair_features
from retrieval.matching.matcher.word_evidence import WordEvidence, WordEvidenceData
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.settings import MatcherSettings
from training.ensemble.precision_contract import precision_threshold

if TYPE_CHECKING:
    import lightgbm

_LEAST_OF_A_KIND = 20
#: Words of fewer offers are not learned.
_LEAST_OFFERS = 3
OnStep = Callable[[], object]


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of offers of a table.

    Args:
        left, right: (P,) int64 positions.
        same: (P,) bool.
        weights: (P,) float, what each counts; None counts all the same.
    """

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    weights: np.ndarray | None = None


class MatcherTrainer:
    """Learns from pairs of a table's offers; every figure on them is cross-fitted.

    Args:
        on_step: called `num_steps` times while it learns.
        learns_words: whether single words may tell; not where edits made the pairs, whose words tell the edits.
        ignored: groups of features that nothing is learned from, see `feature_group`.
    Raises:
        MatcherError: too few pairs of a kind.
    """

    def __init__(
        self,
        table: OfferTable,
        pairs: LabelledPairs,
        settings: MatcherSettings,
        on_step: OnStep = lambda: None,
        learns_words: bool = True,
        ignored: Collection[str] = (),
    ):
        for name, count in (("the same", int(pairs.same.sum())), ("not the same", int((~pairs.same).sum()))):
            if count < _LEAST_OF_A_KIND:
                raise MatcherError(
                    f"expected at least {_LEAST_OF_A_KIND} pairs that are {name} to learn from, found {count}; add some"
                )
        self._same = pairs.same
        self._weights = np.ones(len(pairs.same)) if pairs.weights is None else pairs.weights
        self._settings = settings
        self._on_step = on_step
        self._features = without_groups(pair_features(table, pairs.left, pairs.right), ignored)
        self._words = WordEvidenceData(table, pairs.left, pairs.right, _LEAST_OFFERS if learns_words else None)
        self._table, self._pairs = table, pairs

    @property
    def num_steps(self) -> int:
        """Models of trees that are fitted."""
        return (self._settings.num_folds + 1) * self._settings.num_models

    def train(self, learned_from: str, embedding_checksum: str) -> Matcher:
        """Learn the matcher."""
        settings = self._settings
        raw = self._cross_fitted()
        slope, offset = _fit_calibration(raw, self._same, self._weights)
        probabilities = calibrated(raw, slope, offset)
        description = MatcherDescription(
            features=matcher_feature_names(),
            embedding_checksum=embedding_checksum,
            slope=slope,
            offset=offset,
            f1_threshold=best_f1_threshold(probabilities),
            precision=settings.precision,
            confidence=settings.confidence,
            promised_threshold=precision_threshold(probabilities, self._same, settings.precision, settings.confidence),
            learned_from=learned_from,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        metrics = {
            "cross_fitted": match_metrics(
                probabilities, self._same, description.f1_threshold, description.promised_threshold
            )
        }
        evidence, models = self._fit(np.arange(len(self._same)))
        known = KnownPairs(probabilities, self._same)
        return Matcher(dataclasses.replace(description, metrics=metrics), evidence, models, known)

    def _cross_fitted(self) -> np.ndarray:
        """(P,) probabilities of the pairs by models that were fitted on others."""
        found = np.zeros(len(self._same))
        for known, asked in self._folds(np.arange(len(self._same))):
            evidence, models = self._fit(known)
            features = matcher_features(self._features[asked], self._evidence(evidence, asked))
            found[asked] = np.mean([trees.predict(features) for trees in models], axis=0)
        return found

    def _fit(self, rows: np.ndarray) -> tuple[WordEvidence, list[lightgbm.Booster]]:
        """Fit on some of the pairs; the trees read word evidence from the folds that a pair is not in."""
        settings = self._settings
        evidence = np.zeros(len(self._same), np.float32)
        for known, asked in self._folds(rows):
            words = self._words.fit(known, self._same[known], settings.word_strength)
            evidence[asked] = self._evidence(words, asked)
        features = matcher_features(self._features[rows], evidence[rows])
        models = []
        for number in range(settings.num_models):
            seeded = dataclasses.replace(settings, seed=settings.seed + number)
            models.append(fitted_trees(features, self._same[rows], seeded, self._weights[rows]))
            self._on_step()
        return self._words.fit(rows, self._same[rows], settings.word_strength), models

    def _evidence(self, words: WordEvidence, rows: np.ndarray) -> np.ndarray:
        of_table = words.of_words(self._table.words.columns)
        return of_table.log_odds(self._table, self._pairs.left[rows], self._pairs.right[rows])

    def _folds(self, rows: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(self._settings.num_folds, shuffle=True, random_state=self._settings.seed)
        return [(rows[known], rows[asked]) for known, asked in folds.split(rows, self._same[rows])]


def without_groups(features: np.ndarray, ignored: Collection[str]) -> np.ndarray:
    """(P, F) float32, features with zeros, which tell nothing, where nobody knows them or they are ignored.

    Args:
        features: (P, F) float32, in the order of `feature_names`.
        ignored: groups of features.
    """
    gone = np.isnan(features).all(axis=0) | [feature_group(name) in ignored for name in feature_names()]
    return np.where(gone, np.float32(0), features)


def fitted_trees(
    features: np.ndarray, same: np.ndarray, settings: MatcherSettings, weights: np.ndarray | None = None
) -> lightgbm.Booster:
    """Fit gradient boosted trees to pairs; the same settings give the same trees on every machine.

    Args:
        features: (P, F) float32.
        same: (P,) bool.
        weights: (P,) float, what each pair counts; None counts all the same.
    """
    import lightgbm

    data = lightgbm.Dataset(features, same, weight=weights)
    return lightgbm.train(_parameters(settings), data, settings.num_trees)


def _parameters(settings: MatcherSettings) -> dict[str, Any]:
    """Parameters of LightGBM."""
    return {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.least_pairs_of_leaf,
        "lambda_l2": settings.leaf_penalty,
        "feature_fraction_bynode": settings.feature_share,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def _fit_calibration(probabilities: np.ndarray, same: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make probabilities true (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(logits(probabilities)[:, None], same, weights)
    return float(model.coef_[0, 0]), float(model.intercept_[0])
