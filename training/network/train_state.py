"""State from which an interrupted training goes on to the same result, written whole at every epoch's end."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from model.errors import TrainingError

#: What NumPy raises for files that are missing, cut off or damaged.
_UNREADABLE = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
_FURTHER = "further/"


@dataclass
class Progress:
    """Progress of a training.

    Args:
        epoch: epochs finished.
        best_score: highest joint validation accuracy so far, 0 to 1.
        best_epoch: the last epoch, counted from 1, that came within the noise of it; 0 before the first.
        last_rise_epoch: the epoch that reached best_score first; patience counts from it.
        history: per finished epoch the losses and accuracies by head.
    """

    epoch: int = 0
    best_score: float = -1.0
    best_epoch: int = 0
    last_rise_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class TrainState:
    """The state folder beside a bundle.

    Args:
        key: digest of settings and data; a state of another run is refused.
    """

    def __init__(self, folder: Path, key: str):
        self.folder = folder
        self.key = key
        self._state = folder / "state.npz"
        self._best = folder / "best.npz"

    def exists(self) -> bool:
        """True if there is something to resume."""
        return self._state.exists()

    def clear(self) -> None:
        """Forget an earlier run."""
        for path in (self._state, self._best):
            path.unlink(missing_ok=True)

    def save(
        self,
        model: keras.Model,
        progress: Progress,
        best: Sequence[np.ndarray] | None,
        further: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """Write weights, optimizer, random states and progress; the last good state stays until this one stands.

        Args:
            best: the weights, where they are the best so far.
            further: arrays that `restore_further` gives back.
        """
        arrays = {f"v{i}": np.asarray(variable) for i, variable in enumerate(all_variables(model))}
        arrays |= {f"{_FURTHER}{name}": values for name, values in further.items()}
        header = json.dumps({"key": self.key, "progress": asdict(progress)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if best is not None:
                weights = {f"w{i}": weight for i, weight in enumerate(best)}
                _write(self._best, {**weights, "key": np.array(self.key)})
            _write(self._state, {**arrays, "header": np.array(header)})
        except OSError as error:
            raise TrainingError(
                f"the training state could not be written to {self.folder}: {error.strerror}; the state of epoch"
                f" {progress.epoch - 1} is kept. Free space and run the same command with --resume"
            ) from error

    def restore(self, model: keras.Model) -> Progress:
        """Load the last state into a freshly built model.

        Raises:
            TrainingError: the state belongs to other data or settings, or cannot be read.
        """
        try:
            with self._state.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                header: dict[str, Any] = json.loads(str(stored["header"]))
                self._check_key(header["key"])
                for i, variable in enumerate(all_variables(model)):
                    variable.assign(stored[f"v{i}"])
        except _UNREADABLE as error:
            raise TrainingError(f"the state in {self.folder} cannot be read: {error}; leave out --resume") from error
        return Progress(**header["progress"])

    def restore_further(self) -> dict[str, np.ndarray]:
        """Load the arrays that were saved beside the model.

        Raises:
            TrainingError: it cannot be read.
        """
        try:
            with self._state.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                names = [name for name in stored.files if name.startswith(_FURTHER)]
                return {name.removeprefix(_FURTHER): stored[name] for name in names}
        except _UNREADABLE as error:
            raise TrainingError(f"the state in {self.folder} cannot be read: {error}; leave out --resume") from error

    def restore_best(self, model: keras.Model) -> None:
        """Load the best epoch's weights.

        Raises:
            TrainingError: they cannot be read, or belong to other data or settings.
        """
        try:
            with self._best.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                self._check_key(str(stored["key"]))
                for i, variable in enumerate(model.weights):
                    variable.assign(stored[f"w{i}"])
        except _UNREADABLE as error:
            raise TrainingError(f"{self._best} cannot be read: {error}; leave out --resume to start afresh") from error

    def _check_key(self, found: str) -> None:
        if found != self.key:
            raise TrainingError(
                f"the state in {self.folder} was made with other data or settings; give the same ones, or leave out"
                " --resume to start afresh"
            )


def all_variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, the random states of dropout, and the optimizer's moments and step."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Through a temporary file, so that a full disk or a kill leaves the older one."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
