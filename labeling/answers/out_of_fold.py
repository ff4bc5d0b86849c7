"""Answers out of fold: each row of a catalog is answered by a classifier of the rows of other folds (Stone 1974)."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labeling.answers.fold import Fold
from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.linear_inputs import LinearInputs
from labeling.answers.tasks import OnProgress, keep_only, run_tasks
from labeling.answers.top_answers import TopAnswers
from labeling.output_files import output_file
from labeling.settings import AnswerSettings
from model.errors import LabelingError
from training.splitting.folds import assign_folds

#: Part of the key of kept answers; raise it when they are computed otherwise.
_VERSION = 2


@dataclass(frozen=True)
class _FoldTask:
    """Answers one fold, and writes its file."""

    fold: Fold
    target: Path

    @property
    def num_rows(self) -> int:
        """All rows are learned from or answered."""
        return self.fold.num_rows

    def run(self, on_progress: OnProgress) -> None:
        """Learn from the other folds, answer this one, and write its file."""
        answers = self.fold.answer(self.fold.fit(on_progress), on_progress)
        with output_file(self.target) as aside, aside.open("wb") as file:
            answers.save(file)


def answer_out_of_fold(
    catalog: LabelledCatalog, settings: AnswerSettings, folder: Path, classes: np.ndarray | None = None
) -> TopAnswers:
    """Answer every row; folds that an interrupted run has finished are found again.

    Args:
        folder: gets a file a fold.
        classes: (N,) int32, labels to believe in place of the catalog's own.
    Raises:
        LabelingError: there are too few products for folds, the disk refused, or a process was killed.
    """
    classes = catalog.classes if classes is None else classes
    labels = [str(number) for number in classes]
    num_folds = min(settings.num_folds, len(np.unique(catalog.groups)))
    if num_folds < 2 or len(np.unique(classes)) < 2:
        raise LabelingError(
            f"{catalog.parsed.path}: expected different products of 2 categories or more, found"
            f" {len(np.unique(catalog.groups))} products of {len(np.unique(classes))}; add rows"
        )
    folds = assign_folds(catalog.groups, labels, num_folds, settings.seed)
    files = [folder / f"fold-{number}.npz" for number in range(num_folds)]
    keep_only(folder, "fold-*.npz", _key(catalog, settings, classes))
    inputs = LinearInputs.prepare(catalog, folder, settings.seed)
    tree = catalog.labels.taxonomy
    rows = [(np.flatnonzero(folds != number), np.flatnonzero(folds == number)) for number in range(num_folds)]
    work = [
        _FoldTask(Fold(number, inputs, classes, *rows[number], tree, settings), file)
        for number, file in enumerate(files)
        if not file.exists()
    ]
    run_tasks(work, f"Answer {len(work)} of {num_folds} folds", settings)
    answers = TopAnswers.empty(len(catalog), tree.num_leaves)
    for number, file in enumerate(files):
        answers.put(rows[number][1], TopAnswers.load(file))
    return answers


def _key(catalog: LabelledCatalog, settings: AnswerSettings, classes: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(classes).tobytes()).hexdigest()
    values = {**asdict(settings), "num_processes": 0, "version": _VERSION, "catalog": catalog.encoded.digest}
    return {**values, "classes": digest}
