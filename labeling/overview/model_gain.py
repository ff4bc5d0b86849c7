"""The gain of a model that learns suggested labels in place of suspicious ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.overview.review import Review
from labeling.settings import AnswerSettings
from labeling.standard_error import standard_error
from training.metrics.comparison import mcnemar_p_value

_Z_95 = 1.96


@dataclass(frozen=True)
class ModelGain:
    """Accuracy out of fold before and after, by the labels as they are: wrong ones count against both alike.

    Args:
        relabelled: products whose suggestion was learned.
        low, high: of the difference, a 95 % interval, paired by product, near-duplicates together.
        p_value: of the exact test of McNemar (1947).
        before_unsuspected: accuracy before, on the products whose label is rather right than wrong: what is more than
            `before` are labels' errors, not the model's.
    """

    relabelled: int
    measured_on: int
    before: float
    after: float
    low: float
    high: float
    p_value: float
    before_unsuspected: float

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after - self.before


def measure_gain(review: Review, settings: AnswerSettings, folder: Path) -> ModelGain:
    """Answer out of fold again, with the suggestions in place of the labels that a review would look at and change.

    Args:
        folder: gets the folds; finished ones are found again.
    """
    issues = review.issues
    classes = issues.catalog.classes.copy()
    changed = review.likely_wrong
    classes[changed] = issues.suggested[changed]
    after = answer_out_of_fold(issues.catalog, settings, folder, classes).classes[:, 0]
    given, before = issues.catalog.classes, issues.answers.classes[:, 0]
    rows = np.flatnonzero(~np.isnan(issues.answers.given))
    was_right, is_right = before[rows] == given[rows], after[rows] == given[rows]
    gains = is_right.astype(np.float64) - was_right
    half = _Z_95 * standard_error(gains, issues.catalog.groups[rows])
    won, lost = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
    return ModelGain(
        len(changed), len(rows), float(was_right.mean()), float(is_right.mean()),
        float(gains.mean() - half), float(gains.mean() + half), mcnemar_p_value(won, lost),
        float(was_right[review.wrong[rows] <= 1 / 2].mean()),
    )  # fmt: skip
