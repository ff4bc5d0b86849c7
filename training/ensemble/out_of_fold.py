"""Answers out of fold: each row answered by a model that was trained on the other folds (Stone 1974)."""

import gc
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import keras
import numpy as np

from model.errors import TrainingError
from model.prediction.field_subsets import proper_subsets
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.calibration_rows import SavedRows, answered_rows, rows_with_fields, with_fields_only
from training.ensemble.trained_model import TrainedModel

#: Most numbers in the saved logits of all folds together: 1.6 GB on disk.
_MAX_SAVED_VALUES = 400_000_000
_MAX_ROWS, _MIN_ROWS = 3000, 200

_log = logging.getLogger("aisle.folds")

#: Trains on the rows of the other folds; returns the model, the rows of this fold, encoded for it, and the group of
#: each, see `CalibrationRows`.
TrainFold = Callable[[int, Path], tuple[TrainedModel, EncodedCatalog, np.ndarray]]


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """Trains a model for each fold and keeps its answers; finished folds are found again.

    Args:
        folder: gets a folder for each fold: the state of its training, then its answers.
        key: digest of all that shapes the answers.
    """

    folder: Path
    key: str
    num_folds: int
    seed: int

    def answer(self, train_fold: TrainFold, resume: bool) -> SavedRows:
        """Answer all rows.

        Args:
            resume: take the answers of folds that an interrupted run finished.
        Raises:
            TrainingError: the disk refused a write.
        """
        if not resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        files = [self.folder / str(fold) / "answers.npz" for fold in range(self.num_folds)]
        for fold, file in enumerate(files):
            if self._is_finished(file):
                _log.info("fold %d of %d: answered by an earlier run", fold + 1, self.num_folds)
                continue
            _log.info("fold %d of %d: trained on the other folds", fold + 1, self.num_folds)
            answered = train_fold(fold, file.parent)
            self._save(*answered, file)
            del answered
            keras.utils.clear_session()
            gc.collect()  # the models of all folds would not fit into memory
        return SavedRows(files, self._fields(files[0]))

    def _is_finished(self, file: Path) -> bool:
        note = file.with_suffix(".json")
        return note.exists() and json.loads(note.read_text(encoding="utf-8"))["key"] == self.key

    @staticmethod
    def _fields(file: Path) -> tuple[str, ...]:
        return tuple(json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["fields"])

    def _save(self, model: TrainedModel, catalog: EncodedCatalog, groups: np.ndarray, file: Path) -> None:
        fields = model.shape.fields
        max_rows = self._max_rows(model)
        arrays: dict[str, np.ndarray] = {}
        for kept in chain([()], proper_subsets(fields)):
            if kept:
                rows = rows_with_fields(catalog, kept, self.seed, max_rows)
                answers = answered_rows(model, with_fields_only(catalog, kept, rows), groups[rows])
            else:
                answers = answered_rows(model, catalog, groups)
            arrays |= {f"{' '.join(kept)}:{name}": values for name, values in answers.to_arrays().items()}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as stored:
                np.savez(stored, allow_pickle=False, **arrays)
            note = json.dumps({"key": self.key, "fields": fields})
            file.with_suffix(".json").write_text(note, encoding="utf-8")  # last: it says that the answers are whole
        except OSError as error:
            raise TrainingError(
                f"the answers of a fold could not be written to {file}: {error.strerror}; finished folds are kept. Free"
                " space and run the same command with --resume"
            ) from error

    def _max_rows(self, model: TrainedModel) -> int:
        """Rows of each set of fields, so that all logits of all folds fit on the disk."""
        num_sets = 2 ** len(model.shape.fields)
        values_a_row = model.shape.num_classes * (len(model.shape.heads) + 2) * num_sets * self.num_folds
        return int(min(max(_MAX_SAVED_VALUES // values_a_row, _MIN_ROWS), _MAX_ROWS // self.num_folds + 1))


def answers_key(parts: object) -> str:
    """Digest of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
