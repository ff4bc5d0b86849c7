"""Answers to the products of groups that a classifier has not seen, as they are and without single features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

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
from model.taxonomy import Taxonomy

#: Part of the key of kept answers; raise it when they are computed otherwise.
_VERSION = 1
_CALIBRATION_ROWS = 10_000
_CHUNK_ROWS = 16_384


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
class _HeldOutFold:
    """One fold of groups, as its process gets it.

    Args:
        inputs_without: file of the inputs of `altered`.
        target, target_without: answers to `own`, and to `altered`.
    """

    number: int
    inputs: LinearInputs
    inputs_without: Path
    classes: np.ndarray
    train: np.ndarray
    own: np.ndarray
    altered: AlteredRows
    taxonomy: Taxonomy
    settings: AnswerSettings
    target: Path
    target_without: Path

    @property
    def num_rows(self) -> int:
        """Rows to learn from and to answer, the altered ones aside."""
        return len(self.train) + len(self.own)

    def run(self, on_progress: OnProgress) -> None:
        """Learn from the other groups, answer these as they are and altered, and write the files."""
        draw = np.random.default_rng([self.settings.seed, self.number])
        train = self.train
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
        self._answer_altered(classifier)
        parts = []
        for start in range(0, len(self.own), _CHUNK_ROWS):
            rows = self.own[start : start + _CHUNK_ROWS]
            parts.append(classifier.answer(self.inputs.of(rows), self.classes[rows]))
            on_progress(len(rows))
        _save(parts, self.target)

    def _answer_altered(self, classifier: TreeClassifier) -> None:
        parts, ngrams = [], sparse.load_npz(self.inputs_without)
        for start in range(0, ngrams.shape[0], _CHUNK_ROWS):
            rows, part = self.altered.rows[start : start + _CHUNK_ROWS], ngrams[start : start + _CHUNK_ROWS]
            if self.inputs.pictures is not None:
                part = sparse.hstack([part, self.inputs.of(rows)[:, ngrams.shape[1] :]], format="csr")
            parts.append(classifier.answer(part, self.classes[rows]))
        _save(parts or [TopAnswers.empty(0, self.taxonomy.num_leaves)], self.target_without)


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
        _HeldOutFold(
            number, inputs, folder / f"fold-{number}-altered.npz", catalog.classes, train_rows(catalog, folds, number),
            np.flatnonzero(folds == number), rows, tree, settings, folder / f"fold-{number}.npz",
            folder / f"fold-{number}-without.npz",
        )
        for number, rows in enumerate(altered)
    ]  # fmt: skip
    left = [fold for fold in work if not fold.target.exists()]
    _write_altered(catalog, left, features)
    run_tasks(left, f"Hold out {len(left)} of {len(work)} folds of groups", settings)
    answers = TopAnswers.empty(len(catalog), tree.num_leaves)
    for fold in work:
        answers.put(fold.own, TopAnswers.load(fold.target))
    return HeldOutAnswers(answers, folds >= 0, altered, [TopAnswers.load(fold.target_without) for fold in work])


def _write_altered(catalog: LabelledCatalog, work: Sequence[_HeldOutFold], features: list[Feature]) -> None:
    num_rows = sum(len(fold.altered.rows) for fold in work)
    with tqdm(desc="Take words out", total=num_rows, unit=" rows", unit_scale=True, delay=1) as bar:
        for fold in work:
            fold.altered.write(catalog, features, fold.inputs_without, bar)


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


def _save(parts: Sequence[TopAnswers], path: Path) -> None:
    with output_file(path) as aside, aside.open("wb") as file:
        TopAnswers.concatenate(parts).save(file)
