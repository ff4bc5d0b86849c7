"""Cross-fitted calibration: calibration and precision contract measured on rows that they were not fitted on."""

from typing import Any

import numpy as np

from model.prediction.answers import answer, softmax
from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy
from training.ensemble.calibration import fit_temperature
from training.ensemble.precision_contract import DepthOutcomes, fit_thresholds
from training.metrics.confidence import expected_calibration_error
from training.metrics.contract import contract_metrics
from training.metrics.outcomes import Outcomes

NUM_FOLDS = 5
#: Most logits in memory: 200 MB, enough rows for a temperature and 15 bins with any tree.
MAX_SAMPLE_VALUES = 50_000_000


class LogitSample:
    """A random sample of the joint logits of a stream, bounded in memory; independent of the chunks.

    Args:
        num_classes: K.
        depth: D.
        max_values: limit of rows times K.
    """

    def __init__(self, num_classes: int, depth: int, max_values: int = MAX_SAMPLE_VALUES, seed: int = 0):
        self._max_rows = max(NUM_FOLDS, max_values // num_classes)
        self._random = np.random.default_rng(seed)
        self._draws = np.empty(0)
        self._logits = np.empty((0, num_classes), np.float32)
        self._labels = np.empty(0, np.int32)
        self._floors = np.empty((0, depth), np.float32)

    def add(self, logits: np.ndarray, labels: np.ndarray, floors: np.ndarray) -> None:
        """Add (n, K) float32 logits, their (n,) classes and (n, D) `floors`; see `cross_fitted_calibration`."""
        draws = np.concatenate([self._draws, self._random.random(len(labels))])
        kept = np.arange(len(draws))
        if len(draws) > self._max_rows:
            kept = np.sort(np.argpartition(draws, self._max_rows)[: self._max_rows])
        self._draws = draws[kept]
        self._logits = np.concatenate([self._logits, logits])[kept]
        self._labels = np.concatenate([self._labels, labels])[kept]
        self._floors = np.concatenate([self._floors, floors])[kept]

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (M, K) logits, (M,) classes and (M, D) floors, in the order of the stream."""
        return self._logits, self._labels, self._floors


def cross_fitted_calibration(
    logits: np.ndarray,
    labels: np.ndarray,
    floors: np.ndarray,
    stored: Calibration,
    taxonomy: Taxonomy,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure calibration error and contract on each fifth of the rows, fitted on the other four fifths.

    The stored temperature and thresholds may have been fitted on these same rows; those of each fold were not.

    Args:
        logits: (N, K) float32 joint logits, calibrated as stored; each fold refits one temperature for all.
        labels: (N,) int32 classes.
        floors: (N, D) float32, the stored thresholds for the fields that each row lacks; they apply in addition to
            those of a fold.
    Returns:
        count, num_folds; stored: temperature, expected_calibration_error; cross_fitted: temperatures (one per
        fold), expected_calibration_error, and `contract_metrics` of what the thresholds of each fold hand out. None in
        place of cross_fitted with fewer rows than folds.
    """
    stored_outcomes = Outcomes.of(labels, softmax(logits))
    return {
        "count": len(labels),
        "num_folds": NUM_FOLDS,
        "stored": {
            "temperature": stored.formula.temperature,
            "expected_calibration_error": expected_calibration_error(stored_outcomes),
        },
        "cross_fitted": _cross_fitted(logits, labels, floors, stored, taxonomy, seed)
        if len(labels) >= NUM_FOLDS
        else None,
    }


def _cross_fitted(
    logits: np.ndarray, labels: np.ndarray, floors: np.ndarray, stored: Calibration, taxonomy: Taxonomy, seed: int
) -> dict[str, Any]:
    folds = np.random.default_rng(seed).permutation(len(labels)) % NUM_FOLDS
    fitted = np.empty_like(logits, np.float32)
    thresholds = np.array(floors, np.float32)
    temperatures = []
    for fold in range(NUM_FOLDS):
        mine, others = folds == fold, folds != fold
        temperature = fit_temperature(logits[others], labels[others])
        temperatures.append(temperature * stored.formula.temperature)
        fitted[mine] = logits[mine] / np.float32(temperature)
        probabilities = softmax(logits[others], temperature)
        outcomes = DepthOutcomes.of(probabilities, labels[others], taxonomy, unproven=stored.unproven)
        found = fit_thresholds(outcomes, stored, floors[others])
        thresholds[mine] = np.maximum(thresholds[mine], np.array(found, np.float32))
    answers = answer(fitted, taxonomy, stored, thresholds, top_k=1)
    return {
        "temperatures": temperatures,
        "expected_calibration_error": expected_calibration_error(Outcomes.of(labels, softmax(fitted))),
        **contract_metrics(labels, answers, taxonomy, stored.precision_target),
    }
