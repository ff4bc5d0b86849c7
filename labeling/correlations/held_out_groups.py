"""Answers to the products of groups that a classifier has not seen, as they are and without single features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

from labeling.answers.fold import CHUNK_ROWS, Fold
from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.linear_inputs import LinearInputs
from labeling.answers.tasks import OnProgress, keep_only, run_tasks
from labeling.answers.top_answers import TopAnswers
from labeling.answers.tree_classifier import TreeClassifier
from labeling.correlations.altered_rows import AlteredRows
from labeling.correlations.features import Feature
from labeling.output_files import output_file
from labeling.settings import AnswerSettings
from model.errors import LabelingError

#: Part of the key of kept answers; raise it when they are computed otherwise.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class HeldOutAnswers:
    """Answers to rows of held-out groups.

    Args:
        answers: to all N rows; meaningless where `is_held_out` is False.
        is_held_out: (N,) bool, rows that belong to a group.
        altered: by fold, what was altered there.
        without: by fold, the answers to these.
    """

    answers: TopAnswers
    is_held_out: np.ndarray
    altered: list[AlteredRows]
    without: list[TopAnswers]


@dataclass(frozen=True)
class _HeldOutTask:
    """Answers one fold of groups, as its products are and altered.

    Args:
        inputs_without: file of the inputs of `altered`.
        target, target_without: answers to the fold's own rows, and to `altered`.
    """

    fold: Fold
    inputs_without: Path
    altered: AlteredRows
    target: Path
    target_without: Path

    @property
    def num_rows(self) -> int:
        """Rows to learn from and to answer, the altered ones aside."""
        return self.fold.num_rows

    def run(self, on_progress: OnProgress) -> None:
        """Learn from the other groups, answer these as they are and altered, and write the files."""
        classifier = self.fold.fit(on_progress)
        self._answer_altered(classifier)
        _save(self.fold.answer(classifier, on_progress), self.target)

    def _answer_altered(self, classifier: TreeClassifier) -> None:
        fold, ngrams = self.fold, sparse.load_npz(self.inputs_without)
        parts = [TopAnswers.empty(0, fold.taxonomy.num_leaves)]
        for start in range(0, ngrams.shape[0], CHUNK_ROWS):
            rows, part = self.altered.rows[start : start + CHUNK_ROWS], ngrams[start : start + CHUNK_ROWS]
            if fold.inputs.pictures is not None:
                part = sparse.hstack([part, fold.inputs.of(rows)[:, ngrams.shape[1] :]], format="csr")
            parts.append(classifier.answer(part, fold.classes[rows]))
        _save(TopAnswers.concatenate(parts), self.target_without)


def answer_held_out(
    catalog: LabelledCatalog,
    folds: np.ndarray,
    altered: list[AlteredRows],
    features: list[Feature],
    settings: AnswerSettings,
    folder: Path,
) -> HeldOutAnswers:
    """Answer each fold of groups by a classifier of the others; folds that an earlier run has finished are found again.

    Rows whose near-duplicates are held out are not learned from, unless that would leave less than half of the others.

    Args:
        folds: (N,) int, of each row; -1 for those that are learned from in every fold.
        altered: by fold, rows to answer without a feature.
        folder: gets three files a fold.
    Raises:
        LabelingError: a fold has less than two categories to learn from, the disk refused, or a process was killed.
    """
    tree = catalog.labels.taxonomy
    keep_only(folder, "fold-*.npz", _key(catalog, folds, altered, features, settings))
    inputs = LinearInputs.prepare(catalog, folder, settings.seed)
    work = [
        _HeldOutTask(
            Fold(
                number, inputs, catalog.classes, train_rows(catalog, folds, number), np.flatnonzero(folds == number),
                tree, settings,
            ),
            folder / f"fold-{number}-altered.npz",
            rows,
            folder / f"fold-{number}.npz",
            folder / f"fold-{number}-without.npz",
        )
        for number, rows in enumerate(altered)
    ]  # fmt: skip
    left = [task for task in work if not task.target.exists()]
    _write_altered(catalog, left, features)
    run_tasks(left, f"Hold out {len(left)} of {len(work)} folds of groups", settings)
    answers = TopAnswers.empty(len(catalog), tree.num_leaves)
    for task in work:
        answers.put(task.fold.own, TopAnswers.load(task.target))
    return HeldOutAnswers(answers, folds >= 0, altered, [TopAnswers.load(task.target_without) for task in work])


def _write_altered(catalog: LabelledCatalog, work: Sequence[_HeldOutTask], features: list[Feature]) -> None:
    num_rows = sum(len(task.altered.rows) for task in work)
    with tqdm(desc="Take words out", total=num_rows, unit=" rows", unit_scale=True, delay=1) as bar:
        for task in work:
            task.altered.write(catalog, features, task.inputs_without, bar)


def train_rows(catalog: LabelledCatalog, folds: np.ndarray, number: int) -> np.ndarray:
    """(T,) int64, the rows that the classifier of one fold learns from, see `answer_held_out`.

    Raises:
        LabelingError: they are of less than two categories.
    """
    others = np.flatnonzero(folds != number)
    distinct = others[~np.isin(catalog.groups[others], catalog.groups[folds == number])]
    train = distinct if 2 * len(distinct) >= len(others) else others
    num_categories = len(np.unique(catalog.classes[train]))
    if num_categories < 2:
        raise LabelingError(
            f"{catalog.parsed.path}: expected two categories or more outside of each group, found {num_categories} in"
            f" {len(train)} products; choose another column with --by"
        )
    return train


def _key(
    catalog: LabelledCatalog,
    folds: np.ndarray,
    altered: Sequence[AlteredRows],
    features: Sequence[Feature],
    settings: AnswerSettings,
) -> dict[str, object]:
    digest = hashlib.sha256(np.ascontiguousarray(folds).tobytes())
    for rows in altered:
        digest.update(rows.rows.tobytes() + rows.features.tobytes())
    digest.update(np.ascontiguousarray(catalog.classes).tobytes())
    values = {**asdict(settings), "num_processes": 0, "version": _VERSION, "catalog": catalog.encoded.digest}
    return {**values, "features": [asdict(feature) for feature in features], "rows": digest.hexdigest()}


def _save(answers: TopAnswers, path: Path) -> None:
    with output_file(path) as aside, aside.open("wb") as file:
        answers.save(file)
