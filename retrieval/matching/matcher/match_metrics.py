"""The quality of probabilities of pairs: F1, calibration, and what a precision promise leaves."""

from typing import Any

import numpy as np

_NUM_BINS = 10
#: Threshold above every probability.
_NEVER = 2.0
_LEAST_SURE = 0.85


def match_metrics(
    probabilities: np.ndarray, same: np.ndarray, f1_threshold: float, promised_threshold: float
) -> dict[str, Any]:
    """Measure probabilities of pairs against what they are.

    Args:
        probabilities: (P,) float32.
        same: (P,) bool.
        f1_threshold, promised_threshold: least probabilities that count as the same, see `MatcherDescription`.
    """
    is_same, is_promised = probabilities >= f1_threshold, probabilities >= promised_threshold
    precision, recall = _precision_recall(is_same, same)
    promised_precision, promised_recall = _precision_recall(is_promised, same)
    return {
        "num_pairs": len(same),
        "num_same": int(same.sum()),
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "precision": precision,
        "recall": recall,
        "calibration_error": calibration_error(probabilities, same),
        "promised_precision": promised_precision,
        "promised_recall": promised_recall,
    }


def best_f1_threshold(probabilities: np.ndarray) -> float:
    """The threshold with the highest F1 if the probabilities are true: half of that F1 (Lipton et al. 2014).

    Labels are not looked at, so that no single pair decides.

    Args:
        probabilities: (P,) calibrated, of pairs as they will be asked about.
    """
    ranked = np.sort(probabilities.astype(np.float64))[::-1]
    hits, total = np.cumsum(ranked), ranked.sum()
    if not total:
        return 1.0
    expected = 2 * hits / (np.arange(1, len(ranked) + 1) + total)
    return float(expected.max() / 2)


def expected_precision_threshold(probabilities: np.ndarray, precision: float) -> float:
    """The least threshold above which pairs are right so often if the probabilities are true; above 1 where none is.

    Labels are not looked at: there are none where a catalog teaches itself. The surest pairs do not make up for
    doubtful ones: no threshold is below 0.85.

    Args:
        probabilities: (P,) calibrated, of pairs as they will be asked about.
        precision: share of the pairs above the threshold that shall be right, 0 to 1.
    """
    ranked = np.sort(probabilities.astype(np.float64))[::-1]
    means = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    reached = np.flatnonzero(means >= precision)
    return max(float(ranked[reached[-1]]), _LEAST_SURE) if len(reached) else _NEVER


def calibration_error(probabilities: np.ndarray, same: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((probabilities * _NUM_BINS).astype(int), _NUM_BINS - 1)
    counts = np.bincount(bins, minlength=_NUM_BINS)
    gaps = np.bincount(bins, probabilities, _NUM_BINS) - np.bincount(bins, same, _NUM_BINS)
    return float(np.abs(gaps).sum() / max(counts.sum(), 1))


def _precision_recall(found: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    hits = int((found & same).sum())
    return hits / max(int(found.sum()), 1), hits / max(int(same.sum()), 1)
