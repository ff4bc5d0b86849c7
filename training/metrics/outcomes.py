"""Outcomes of labelled rows: the few numbers per row that metrics need, in place of the (N, K) matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Probabilities processed at a time; bounds the extra memory to some tens of megabytes for any K.
CHUNK_VALUES = 4_000_000
#: Largest deviation of the sum of a float32 softmax from 1.
PROBABILITY_SLACK = 1e-3


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Labels and answers, 16 bytes per row, so that a catalog can be evaluated batch by batch.

    Args:
        labels: (N,) int32 classes in [0, K).
        predicted: (N,) int32, the most probable class; the lowest of equals, as in `model.prediction.answers`.
        confidences: (N,) float32 in [0, 1], the probability of `predicted`.
        label_ranks: (N,) int32, rank of the label among the K classes, 1 when it is the answer.
    """

    labels: np.ndarray
    predicted: np.ndarray
    confidences: np.ndarray
    label_ranks: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, pred_probs: np.ndarray) -> "Outcomes":
        """Reduce predicted probabilities; `pred_probs` is read in row chunks and never copied.

        Args:
            labels: (N,) integer classes in [0, K).
            pred_probs: (N, K) float, calibrated; each row sums to 1. N may be 0.
        Raises:
            ValueError: N differs, a label is outside [0, K), or a row holds no probabilities; names the first such row.
        """
        labels = np.asarray(labels)
        _check_shapes(labels, pred_probs)
        count, num_classes = pred_probs.shape
        predicted = np.empty(count, np.int32)
        confidences = np.empty(count, np.float32)
        label_ranks = np.empty(count, np.int32)
        rows_per_chunk = max(1, CHUNK_VALUES // num_classes)
        for start in range(0, count, rows_per_chunk):
            rows = slice(start, start + rows_per_chunk)
            chunk = pred_probs[rows]
            predicted[rows] = chunk.argmax(axis=1)
            confidences[rows] = chunk.max(axis=1)  # a NaN in a row is detected here
            label_ranks[rows] = _label_ranks(labels[rows], chunk)
        _check_confidences(confidences)
        return cls(labels.astype(np.int32), predicted, np.minimum(confidences, 1.0), label_ranks)

    @classmethod
    def concatenate(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Concatenate the outcomes of batches, in order; no part gives zero rows."""
        if not parts:
            nothing = np.empty(0, np.int32)
            return cls(nothing, nothing, np.empty(0, np.float32), nothing)
        return cls(
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.confidences for part in parts]),
            np.concatenate([part.label_ranks for part in parts]),
        )

    def select(self, rows: np.ndarray) -> "Outcomes":
        """Select rows.

        Args:
            rows: (N,) bool mask, or (M,) row numbers.
        """
        return Outcomes(self.labels[rows], self.predicted[rows], self.confidences[rows], self.label_ranks[rows])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_correct(self) -> np.ndarray:
        """(N,) bool, True where the answer is the label."""
        is_correct: np.ndarray = self.predicted == self.labels
        return is_correct


def _label_ranks(labels: np.ndarray, pred_probs: np.ndarray) -> np.ndarray:
    own = pred_probs[np.arange(len(labels)), labels][:, None]
    ahead: np.ndarray = (pred_probs > own).sum(axis=1)
    ahead += ((pred_probs == own) & (np.arange(pred_probs.shape[1]) < labels[:, None])).sum(axis=1)
    ahead += 1
    return ahead


def _check_shapes(labels: np.ndarray, pred_probs: np.ndarray) -> None:
    if labels.ndim != 1 or pred_probs.ndim != 2 or len(labels) != len(pred_probs) or pred_probs.shape[1] == 0:
        raise ValueError(
            f"expected labels (N,) and pred_probs (N, K), found {labels.shape} and {pred_probs.shape}; "
            "give one row of probabilities for each label"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"expected labels as whole numbers, found {labels.dtype}; give class numbers")
    outside = np.flatnonzero((labels < 0) | (labels >= pred_probs.shape[1]))
    if len(outside):
        row = outside[0]
        raise ValueError(
            f"row {row}: expected a label from 0 to {pred_probs.shape[1] - 1}, found {labels[row]}; "
            "leave unlabelled rows out"
        )


def _check_confidences(confidences: np.ndarray) -> None:
    # Written so that NaN counts as outside.
    outside = np.flatnonzero(~((confidences >= 0) & (confidences <= 1 + PROBABILITY_SLACK)))
    if len(outside):
        row = outside[0]
        raise ValueError(
            f"row {row}: expected probabilities from 0 to 1, found a highest value of {confidences[row]}; "
            "turn logits into probabilities first"
        )
