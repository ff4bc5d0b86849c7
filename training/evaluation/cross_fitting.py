"""Cross-fitted calibration: calibration and precision contract measured on rows that they were not fitted on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.prediction.answers import answer, probabilities
from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy
from training.ensemble.calibration import fit_temperature
from training.ensemble.calibration_rows import row_weights
from training.ensemble.formula_fitting import NUM_FOLDS, group_folds
from training.ensemble.precision_contract import DepthOutcomes, cross_fitted_thresholds
from training.metrics.confidence import expected_calibration_error
from training.metrics.contract import contract_metrics
from training.metrics.outcomes import Outcomes

#: Least rows that are measured in folds.
MIN_ROWS = 5
#: Most logits in memory: 200 MB, enough rows for a temperature and 15 bins with any tree.
MAX_SAMPLE_VALUES = 50_000_000


@dataclass(frozen=True, eq=False)
class SampledRows:
    """The joint answers of M rows, and what they are measured by.

    Args:
        logits: (M, K) float32 joint logits, calibrated.
        prior_masses: (M, 1) float32; see `model.prediction.answers.probabilities`.
        labels: (M,) int32 classes.
        floors: (M, D) float32, the thresholds for the fields that each row lacks; they apply in addition to others.
        groups: (M,) int, group of near-duplicates.
        numbers: (M,) int, ascending, which rows of the stream they are.
    """

    logits: np.ndarray
    prior_masses: np.ndarray
    labels: np.ndarray
    floors: np.ndarray
    groups: np.ndarray
    numbers: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """(M,) float, what a row counts; near-duplicates share one."""
        return row_weights(self.groups)


class LogitSample:
    """A random sample of the joint logits of a stream, bounded in memory; independent of the chunks.

    Args:
        num_classes: K.
        depth: D.
        max_values: limit of rows times K.
    """

    def __init__(self, num_classes: int, depth: int, max_values: int = MAX_SAMPLE_VALUES, seed: int = 0):
        self._max_rows = max(MIN_ROWS, max_values // num_classes)
        self._random = np.random.default_rng(seed)
        self._draws = np.empty(0)
        self._numbers = np.empty(0, np.int64)
        self._num_rows = 0
        self._logits = np.empty((0, num_classes), np.float32)
        self._prior_masses = np.empty((0, 1), np.float32)
        self._labels = np.empty(0, np.int32)
        self._floors = np.empty((0, depth), np.float32)

    def add(
        self,
        logits: np.ndarray,
        prior_masses: np.ndarray,
        labels: np.ndarray,
        floors: np.ndarray,
    ) -> None:
        """Add n rows; see `SampledRows`."""
        draws = np.concatenate([self._draws, self._random.random(len(labels))])
        kept = np.arange(len(draws))
        if len(draws) > self._max_rows:
            kept = np.sort(np.argpartition(draws, self._max_rows)[: self._max_rows])
        self._draws = draws[kept]
        numbers = np.arange(self._num_rows, self._num_rows + len(labels))
        self._num_rows += len(labels)
        self._numbers = np.concatenate([self._numbers, numbers])[kept]
        self._logits = np.concatenate([self._logits, logits])[kept]
        self._prior_masses = np.concatenate([self._prior_masses, prior_masses])[kept]
        self._labels = np.concatenate([self._labels, labels])[kept]
        self._floors = np.concatenate([self._floors, floors])[kept]

    def rows(self, groups: np.ndarray) -> SampledRows:
        """Return the rows in the order of the stream.

        Args:
            groups: (N,) int, group of near-duplicates of every row of the stream.
        """
        own, numbers = groups[self._numbers], self._numbers
        return SampledRows(self._logits, self._prior_masses, self._labels, self._floors, own, numbers)


def cross_fitted_calibration(
    rows: SampledRows, stored: Calibration, taxonomy: Taxonomy, seed: int = 0
) -> dict[str, Any]:
    """Measure calibration error and contract on each fifth of the rows, fitted on the other four fifths.

    The stored temperature and thresholds may have been fitted on these same rows; those of each fold were not.
    Near-duplicates share a fold.

    Args:
        rows: calibrated as stored; each fold refits one temperature for all.
    Returns:
        count, num_folds; stored: temperature, expected_calibration_error; cross_fitted: temperatures (one per
        fold), expected_calibration_error, and `contract_metrics` of what the thresholds of each fold hand out. None in
        place of cross_fitted with fewer rows than folds.
    """
    stored_outcomes = Outcomes.of(rows.labels, probabilities(rows.logits, rows.prior_masses))
    return {
        "count": len(rows.labels),
        "num_folds": NUM_FOLDS,
        "stored": {
            "temperature": stored.formula.temperature,
            "expected_calibration_error": expected_calibration_error(stored_outcomes),
        },
        "cross_fitted": _cross_fitted(rows, stored, taxonomy, seed) if len(rows.labels) >= MIN_ROWS else None,
    }


def _cross_fitted(rows: SampledRows, stored: Calibration, taxonomy: Taxonomy, seed: int) -> dict[str, Any]:
    labels, folds = rows.labels, group_folds(rows.groups, seed)
    fitted, temperatures = np.empty_like(rows.logits, np.float32), []
    for fold in np.unique(folds):
        mine, others = folds == fold, folds != fold
        temperature = fit_temperature(rows.logits[others], labels[others])
        temperatures.append(temperature * stored.formula.temperature)
        fitted[mine] = rows.logits[mine] / np.float32(temperature)
    calibrated = probabilities(fitted, rows.prior_masses)
    outcomes = DepthOutcomes.of(calibrated, labels, taxonomy, rows.weights, stored.unproven)
    thresholds = cross_fitted_thresholds(outcomes, stored, folds, rows.floors)
    answers = answer(fitted, rows.prior_masses, taxonomy, stored, thresholds, top_k=1)
    return {
        "temperatures": temperatures,
        "expected_calibration_error": expected_calibration_error(Outcomes.of(labels, calibrated)),
        **contract_metrics(labels, answers, taxonomy, stored.precision_target, rows.weights),
    }
