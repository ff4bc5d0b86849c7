"""Cost of new categories: accuracy of the old ones, and the share of their own products that is found."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.taxonomy import Taxonomy
from training.new_category.head_columns import HeadColumns, LabelledRows, fit_head
from training.report.card_sections import cost_lines

_NUM_FOLDS = 5
_SEED = 0


@dataclass(frozen=True)
class NewLeaf:
    """Recall of one new category.

    Args:
        num_examples: products it was made from.
        num_found_left_out: of those, how many are found by columns that were fitted without them.
        num_further: products of it in the validation catalog; the columns never see them.
        num_found_further: of those, how many are found.
    """

    category: str
    num_examples: int
    num_found_left_out: int
    num_further: int
    num_found_further: int


@dataclass(frozen=True)
class NewCategoryCost:
    """The cost to the old categories and the recall on the new ones.

    Args:
        num_old_rows: validation rows of old categories.
        accuracy_before, accuracy_after: on them, 0 to 1; after by columns that were fitted without the row.
        num_moved: how many of them are answered with a new category.
    """

    num_old_rows: int
    accuracy_before: float
    accuracy_after: float
    num_moved: int
    new_leaves: tuple[NewLeaf, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def lines(self, val_name: str) -> list[str]:
        """Lines to print."""
        return cost_lines(self.to_dict(), val_name)


def measure_cost(
    columns: HeadColumns, examples: LabelledRows, val: LabelledRows, old_taxonomy: Taxonomy, new_leaves: Sequence[str]
) -> NewCategoryCost:
    """Fit the joint head's new columns five times, each time without one fifth of the rows, and measure on those.

    Args:
        val: rows of old classes, and of new ones as far as there are.
    """
    num_old = old_taxonomy.num_leaves
    old, further = val.known(num_old), val.take(np.flatnonzero(val.labels >= num_old))
    random = np.random.default_rng(_SEED)
    old_folds = random.permutation(len(old)) % _NUM_FOLDS
    example_folds = _folds_by_class(examples.labels, random)
    old_answers, example_answers = np.empty(len(old), int), np.empty(len(examples), int)
    for fold in range(_NUM_FOLDS):
        fitted = fit_head(
            "joint",
            columns,
            examples.take(np.flatnonzero(example_folds != fold)),
            old.take(np.flatnonzero(old_folds != fold)),
        )
        for rows, folds, answers in ((old, old_folds, old_answers), (examples, example_folds, example_answers)):
            left_out = np.flatnonzero(folds == fold)
            answers[left_out] = joint_answers(rows.take(left_out), columns, *fitted)
    further_answers = joint_answers(further, columns, *fit_head("joint", columns, examples, old))
    return NewCategoryCost(
        num_old_rows=len(old),
        accuracy_before=float((old.views["joint"].best_old == old.labels).mean()),
        accuracy_after=float((old_answers == old.labels).mean()),
        num_moved=int((old_answers >= num_old).sum()),
        new_leaves=tuple(
            NewLeaf(leaf, *_found(examples.labels, example_answers, i), *_found(further.labels, further_answers, i))
            for i, leaf in enumerate(new_leaves, start=num_old)
        ),
    )


def joint_answers(rows: LabelledRows, columns: HeadColumns, kernel: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """(N,) int classes that the joint head answers with new columns in place; of equals the old one."""
    view = rows.views["joint"]
    new = view.fixed + (view.inputs @ kernel + biases) / columns.temperatures["joint"]
    is_new = new.max(axis=1) > view.best_old_logits
    return np.where(is_new, columns.num_old + new.argmax(axis=1), view.best_old)


def _folds_by_class(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Every class spread over the folds, so that no fold's columns lack one."""
    folds = np.empty(len(labels), int)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        folds[rows] = np.arange(len(rows)) % _NUM_FOLDS
    return folds


def _found(labels: np.ndarray, answers: np.ndarray, label: int) -> tuple[int, int]:
    of_label = labels == label
    return int(of_label.sum()), int((answers[of_label] == label).sum())
