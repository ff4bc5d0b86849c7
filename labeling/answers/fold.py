"""One fold of a catalog: rows that a classifier learns from, and others that it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.answers.linear_inputs import LinearInputs
from labeling.answers.tasks import OnProgress
from labeling.answers.top_answers import TopAnswers
from labeling.answers.tree_classifier import TreeClassifier
from labeling.settings import AnswerSettings
from model.taxonomy import Taxonomy

#: Rows that fit the temperatures.
_CALIBRATION_ROWS = 10_000
#: Rows whose inputs are in memory at a time.
CHUNK_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold's rows, as its process gets them.

    Args:
        classes: (N,) int32, that all rows of the catalog were given.
        train: rows to learn from, ascending; of more than `max_train_rows` a sample is drawn.
        own: rows to answer, ascending.
    """

    number: int
    inputs: LinearInputs
    classes: np.ndarray
    train: np.ndarray
    own: np.ndarray
    taxonomy: Taxonomy
    settings: AnswerSettings

    @property
    def num_rows(self) -> int:
        """To learn from and to answer."""
        return len(self.train) + len(self.own)

    def fit(self, on_progress: OnProgress) -> TreeClassifier:
        """Learn, and calibrate on some of the own rows."""
        draw, train = np.random.default_rng([self.settings.seed, self.number]), self.train
        if len(train) > self.settings.max_train_rows:
            train = np.sort(draw.permutation(train)[: self.settings.max_train_rows])
        classifier = TreeClassifier.fit(
            self.taxonomy,
            self.inputs.of(train),
            self.classes[train],
            self.settings.linear_cost,
            self.settings.seed,
            lambda share: on_progress(share * len(self.train)),
        )
        few = np.sort(draw.permutation(self.own)[:_CALIBRATION_ROWS])
        classifier.calibrate(self.inputs.of(few), self.classes[few])
        return classifier

    def answer(self, classifier: TreeClassifier, on_progress: OnProgress) -> TopAnswers:
        """Answer the own rows."""
        parts = []
        for start in range(0, len(self.own), CHUNK_ROWS):
            rows = self.own[start : start + CHUNK_ROWS]
            parts.append(classifier.answer(self.inputs.of(rows), self.classes[rows]))
            on_progress(len(rows))
        return TopAnswers.concatenate(parts)
