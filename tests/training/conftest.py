"""What several tests of the training core share: the toy tokenizer and an encoder whose features are known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model.openvino_engine import OpenVinoProgram
from model.settings import ImageSettings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.word_store import fitted_tokenizer

TEXT_FIELDS = ("name", "mall_category", "brand", "maker")


@dataclass
class Runs:
    """Rows of each call of an OpenVINO program."""

    rows: list[int]


@pytest.fixture(scope="session")
def toy_tokenizer(toy_catalogs: tuple[Path, Path], toy_cache: Path) -> tuple[Tokenizer, Path]:
    """The tokenizer of the toy catalog and where it is saved."""
    return fitted_tokenizer(toy_catalogs[0], {}, TEXT_FIELDS, TOY_SETTINGS.tokenizer, 0, toy_cache)


@pytest.fixture(scope="session")
def mean_color() -> tuple[keras.Model, ImageSettings]:
    """An image encoder of 8 x 8 pictures whose features are their mean red, green and blue."""
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    pixels = keras.layers.Rescaling(1.0, name="float")(images)
    means = keras.layers.GlobalAveragePooling2D(name="mean")(pixels)
    means = keras.layers.Activation("linear", name="image_features")(means)
    return keras.Model(images, {"image_features": means}), ImageSettings(image_size=8, image_weights="none")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Counts what OpenVINO runs."""
    runs, run = Runs([]), OpenVinoProgram.run

    def counting(self: OpenVinoProgram, inputs: dict[str, np.ndarray]) -> Any:
        runs.rows.append(len(next(iter(inputs.values()))))
        return run(self, inputs)

    monkeypatch.setattr(OpenVinoProgram, "run", counting)
    return runs
