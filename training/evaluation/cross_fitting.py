"""Cross-fitted calibration: calibration and precision contract measured on rows that they were not fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from training.ensemble.calibration import fit_temperature, precision_threshold
from training.metrics.confidence import expected_calibration_error, ratio
from training.metrics.outcomes import Outcomes

NUM_FOLDS = 5
#: Most logits in memory: 200 MB, enough rows for a temperature and 15 bins with any tree.
MAX_SAMPLE_VALUES = 50_000_000


class LogitSample:
    """A random sample of the joint logits of a stream, bounded in memory; independent of the chunks.

    Args:
        num_classes: K.
        max_values: limit of rows times K.
    """

    def __init__(self, num_classes: int, max_values: int = MAX_SAMPLE_VALUES, seed: int = 0):
        self._max_rows = max(NUM_FOLDS, max_values // num_classes)
        self._random = np.random.default_rng(seed)
        self._draws = np.empty(0)
        self._logits = np.empty((0, num_classes), np.float32)
        self._labels = np.empty(0, np.int32)
        self._leaf_thresholds = np.empty(0, np.float32)

    def add(self, logits: np.ndarray, labels: np.ndarray, leaf_thresholds: np.ndarray) -> None:
        """Add (n, K) float32 logits, their (n,) classes and `leaf_thresholds`; see `cross_fitted_calibration`."""
        draws = np.concatenate([self._draws, self._random.random(len(labels))])
        kept = np.arange(len(draws))
        if len(draws) > self._max_rows:
            kept = np.sort(np.argpartition(draws, self._max_rows)[: self._max_rows])
        self._draws = draws[kept]
        self._logits = np.concatenate([self._logits, logits])[kept]
        self._labels = np.concatenate([self._labels, labels])[kept]
        self._leaf_thresholds = np.concatenate([self._leaf_thresholds, leaf_thresholds])[kept]

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (M, K) logits, (M,) classes and (M,) leaf thresholds, in the order of the stream."""
        return self._logits, self._labels, self._leaf_thresholds


def cross_fitted_calibration(
    logits: np.ndarray, labels: np.ndarray, leaf_thresholds: np.ndarray, stored: Calibration, seed: int = 0
) -> dict[str, Any]:
    """Measure calibration error and contract on each fifth of the rows, fitted on the other four fifths.

    The stored temperature and thresholds may have been fitted on these same rows; those of each fold were not.

    Args:
        logits: (N, K) float32 joint logits, calibrated as stored; each fold refits one temperature for all.
        labels: (N,) int32 classes.
        leaf_thresholds: (N,) float32, the stored threshold of each row's leaf for the fields that the row lacks; it
            applies in addition to the threshold of a fold.
    Returns:
        count, num_folds; stored: temperature, expected_calibration_error; cross_fitted: temperatures (one per
        fold), expected_calibration_error, leaf_accepted_share and leaf_accepted_precision with thresholds for
        precision_target at precision_confidence. None in place of cross_fitted with fewer rows than folds.
    """
    stored_outcomes = Outcomes.of(labels, softmax(logits))
    return {
        "count": len(labels),
        "num_folds": NUM_FOLDS,
        "stored": {
            "temperature": stored.formula.temperature,
            "expected_calibration_error": expected_calibration_error(stored_outcomes),
        },
        "cross_fitted": _cross_fitted(logits, labels, leaf_thresholds, stored, seed)
        if len(labels) >= NUM_FOLDS
        else None,
    }


def _cross_fitted(
    logits: np.ndarray, labels: np.ndarray, leaf_thresholds: np.ndarray, stored: Calibration, seed: int
) -> dict[str, Any]:
    folds = np.random.default_rng(seed).permutation(len(labels)) % NUM_FOLDS
    temperatures, measured, accepted = [], [], []
    for fold in range(NUM_FOLDS):
        temperature = fit_temperature(logits[folds != fold], labels[folds != fold])
        outcomes = Outcomes.of(labels, softmax(logits, temperature))
        fitted, unseen = outcomes.select(folds != fold), outcomes.select(folds == fold)
        threshold, _ = precision_threshold(
            fitted.confidences, fitted.is_correct, stored.precision_target, stored.precision_confidence
        )
        temperatures.append(temperature * stored.formula.temperature)
        measured.append(unseen)
        accepted.append(unseen.confidences >= np.maximum(threshold, leaf_thresholds[folds == fold]))
    return {"temperatures": temperatures, **_figures(measured, np.concatenate(accepted))}


def _figures(measured: Sequence[Outcomes], is_leaf_accepted: np.ndarray) -> dict[str, float | None]:
    outcomes = Outcomes.concatenate(measured)
    return {
        "expected_calibration_error": expected_calibration_error(outcomes),
        "leaf_accepted_share": ratio(is_leaf_accepted.sum(), len(outcomes)),
        "leaf_accepted_precision": ratio(outcomes.is_correct[is_leaf_accepted].sum(), is_leaf_accepted.sum()),
    }
