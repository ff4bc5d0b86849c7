"""TensorBoard logs that cannot be written."""

from pathlib import Path

import keras
import pytest

from model.errors import TrainingError
from training.network.epoch_logs import EpochLogs


def test_logs_that_the_disk_refuses_are_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    folder = tmp_path / "tensorboard"
    folder.write_text("taken", encoding="utf-8")
    logs = EpochLogs(folder)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    logs.set_model(model)
    with pytest.raises(TrainingError, match=r"the logs in .*tensorboard cannot be written: .*; free space and run the"):
        logs.on_test_begin()
