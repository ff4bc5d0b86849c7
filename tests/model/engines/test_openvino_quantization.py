"""Rounding to int8 keeps features near; untrained backbones hand out numbers too small for that, so a small net."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from model.engines.export import export_program
from model.engines.openvino_engine import OpenVinoProgram
from model.engines.openvino_quantization import quantize_image_encoder
from model.errors import EngineError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pixels to the means of 16 convolutions behind 16 others."""
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 16, 3), dtype="uint8", name="images")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    tensor = keras.layers.Conv2D(16, 3, activation="relu")(tensor)
    tensor = keras.layers.Conv2D(16, 3, activation="relu")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    outputs = {"image_features": keras.layers.Activation("linear", name="image_features")(tensor)}
    folder = tmp_path_factory.mktemp("encoder")
    keras.Model(images, outputs).save(folder / "encoder.keras")
    export_program(folder / "encoder.keras", folder / "encoder.xml")
    return folder / "encoder.xml"


def test_int8_is_near_float32_and_alone_as_in_a_batch(encoder: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    quantize_image_encoder(encoder, tmp_path / "int8.xml", images[:12])
    expected = OpenVinoProgram(encoder).run({"images": images})["image_features"]
    rounded = OpenVinoProgram(tmp_path / "int8.xml", "int8")
    found = rounded.run({"images": images})["image_features"]
    distance = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-5 < distance < 0.03
    alone = np.concatenate([rounded.run({"images": images[i : i + 1]})["image_features"] for i in range(len(images))])
    np.testing.assert_allclose(alone, found, rtol=0, atol=1e-5)


def test_without_nncf(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(EngineError, match=r"quantisation needs NNCF .*; run pip install 'nncf>=3.4,<4'"):
        quantize_image_encoder(encoder, tmp_path / "int8.xml", [])
