"""The most probable classes of many rows, and the probability of the class that each was given; never all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

import numpy as np

#: Classes kept of a row; the ninth has at most a ninth of the probability.
NUM_KEPT = 8
_MOST_SMALL_CLASSES = 65_536


@dataclass(frozen=True, eq=False)
class TopAnswers:
    """Answers to N rows, of at most 64 bytes each.

    Args:
        classes: (N, NUM_KEPT) uint16, or uint32 where there are more classes; most probable first.
        probabilities: (N, NUM_KEPT) float16, of these; zeros where there are fewer classes.
        given: (N,) float32, of the class that the row was given; NaN where the model knew no other row of that class.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, given_classes: np.ndarray) -> TopAnswers:
        """Keep what counts of (N, K) probabilities.

        Args:
            given_classes: (N,) int.
        """
        count, num_classes = probabilities.shape
        kept = min(NUM_KEPT, num_classes)
        rows = np.arange(count)[:, None]
        top = np.argpartition(probabilities, num_classes - kept, axis=1)[:, num_classes - kept :]
        order = np.argsort(-probabilities[rows, top], axis=1, kind="stable")
        classes = np.zeros((count, NUM_KEPT), np.uint16 if num_classes <= _MOST_SMALL_CLASSES else np.uint32)
        values = np.zeros((count, NUM_KEPT), np.float16)
        classes[:, :kept] = np.take_along_axis(top, order, axis=1)
        values[:, :kept] = probabilities[rows, classes[:, :kept]]
        return cls(classes, values, probabilities[rows[:, 0], given_classes].astype(np.float32))

    @classmethod
    def empty(cls, num_rows: int, num_classes: int) -> TopAnswers:
        """Room for the answers to so many rows."""
        kind = np.uint16 if num_classes <= _MOST_SMALL_CLASSES else np.uint32
        shape = num_rows, NUM_KEPT
        return cls(np.zeros(shape, kind), np.zeros(shape, np.float16), np.zeros(num_rows, np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[TopAnswers]) -> TopAnswers:
        """Answers one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def put(self, rows: np.ndarray, answers: TopAnswers) -> None:
        """Set the answers to some of the rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(answers, field.name)

    def take(self, rows: np.ndarray) -> TopAnswers:
        """The answers to some of the rows."""
        return TopAnswers(*(getattr(self, field.name)[rows] for field in fields(self)))

    def suggested(self, given_classes: np.ndarray) -> np.ndarray:
        """(N,) int64, the most probable class of each row that is not the one it was given."""
        first = self.classes[:, 0].astype(np.int64)
        return np.where(first == given_classes, self.classes[:, 1].astype(np.int64), first)

    def save(self, file: IO[bytes] | Path) -> None:
        """Write them as .npz."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> TopAnswers:
        """Undo `save`."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(*(stored[field.name] for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.given)
