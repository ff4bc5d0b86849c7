"""The gain of a merge beyond bookkeeping: answers of models before and after it, both scored on the merged tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.answers.top_answers import TopAnswers
from labeling.settings import AnswerSettings
from training.metrics.comparison import mcnemar_p_value


@dataclass(frozen=True)
class MergeComparison:
    """Numbers of right answers out of fold.

    Args:
        unmerged: of a model of the old tree, by the old labels.
        before: of the same model, by the merged labels; probabilities of merged categories are added up.
        after: of a model that learned the merged labels.
        only_before, only_after: rows that only one of these two answers right.
    """

    num_rows: int
    unmerged: int
    before: int
    after: int
    only_before: int
    only_after: int

    def said(self) -> str:
        """The comparison in words, with the exact test of McNemar (1947)."""
        chance = mcnemar_p_value(self.only_after, self.only_before)
        old, before, after = (count / self.num_rows for count in (self.unmerged, self.before, self.after))
        return (
            f"accuracy out of fold: {old:.4f} on the tree as it was; on the merged tree {before:.4f} of a model of the"
            f" old labels and {after:.4f} of a model of the merged ones ({self.only_after:,} products are right only"
            f" then, {self.only_before:,} no longer, p = {chance:.2g}): {before - old:+.4f} is bookkeeping,"
            f" {after - before:+.4f} comes of learning the merged labels"
        )


def compare_merge(
    catalog: LabelledCatalog, merged_classes: np.ndarray, settings: AnswerSettings, folder: Path
) -> MergeComparison:
    """Answer the catalog with its labels and with the merged ones.

    Args:
        merged_classes: (K,) int32, see `Merging.merged_classes`.
        folder: gets the folds of both; finished ones are found again.
    """
    classes = catalog.classes
    merged = np.asarray(merged_classes[classes], np.int32)
    old = answer_out_of_fold(catalog, settings, folder / "before")
    new = answer_out_of_fold(catalog, settings, folder / "after", merged)
    is_right_before = most_probable_merged(old, merged_classes) == merged
    is_right_after = new.classes[:, 0] == merged
    return MergeComparison(
        len(classes),
        int((old.classes[:, 0] == classes).sum()),
        int(is_right_before.sum()),
        int(is_right_after.sum()),
        int((is_right_before & ~is_right_after).sum()),
        int((is_right_after & ~is_right_before).sum()),
    )


def most_probable_merged(answers: TopAnswers, merged_classes: np.ndarray) -> np.ndarray:
    """(N,) the merged class with the most probability among the kept ones."""
    merged, probabilities = merged_classes[answers.classes], answers.probabilities.astype(np.float32)
    sums = ((merged[:, :, None] == merged[:, None, :]) * probabilities[:, None, :]).sum(axis=2)
    return np.asarray(merged[np.arange(len(merged)), sums.argmax(axis=1)])
