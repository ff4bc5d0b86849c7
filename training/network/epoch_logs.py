"""TensorBoard logs of a training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from model.errors import TrainingError


class EpochLogs(keras.callbacks.TensorBoard):
    """Writes each epoch's figures; raises TrainingError where the disk refuses.

    Args:
        folder: of the logs.
    """

    def __init__(self, folder: Path):
        super().__init__(folder, write_graph=False)
        self.folder = folder

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the log."""
        with self._refusals():
            super().on_train_begin(logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the log of the validation rows."""
        with self._refusals():
            super().on_test_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the figures of an epoch."""
        with self._refusals():
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write what is left, and close the logs."""
        with self._refusals():
            super().on_train_end(logs)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # TensorFlow's own, which is not imported here
            reason = str(error).strip().splitlines()[-1].strip()
            raise TrainingError(
                f"the logs in {self.folder} cannot be written: {reason}; free space and run the same command with"
                " --resume"
            ) from error
