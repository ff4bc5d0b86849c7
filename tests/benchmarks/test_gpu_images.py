"""The benchmark of the Keras engine on JAX's CPU backend, without TensorFlow and OpenVINO."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from benchmarks.throughput.gpu_images import main
from model.bundle.bundle import load_bundle
from model.bundle_files import FILES
from model.network.layers import BackbonePreprocessing

ROOT = Path(__file__).parents[2]
PROGRAM = """
import runpy, sys
sys.modules.update(tensorflow=None, openvino=None)
sys.argv[1:] = {arguments!r}
runpy.run_module("benchmarks.throughput.gpu_images", run_name="__main__")
"""


@pytest.fixture
def small_bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """The toy bundle with an image encoder of one layer: JAX compiles it sooner than a backbone."""
    pixels = keras.Input((32, 32, 3), dtype="uint8", name="images")
    means = keras.layers.GlobalAveragePooling2D()(BackbonePreprocessing("")(pixels))
    features = keras.layers.Dense(load_bundle(toy_bundle).image_feature_dim, name="image_features")(means)
    bundle = Path(shutil.copytree(toy_bundle, tmp_path / "bundle"))
    keras.Model(pixels, {"image_features": features}).save(bundle / FILES.image_encoder)
    return bundle


def test_it_measures_both_programs_without_tensorflow(small_bundle: Path) -> None:
    counts = ["--images", "64", "--products", "512", "--rounds", "1"]
    program = PROGRAM.format(arguments=["--bundle", str(small_bundle), *counts])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Keras 3\.\d+\.\d+ with jax on CPU, medians of 1", done.stdout)
    for program in ("image_encoder", "classifier"):
        for precision in ("float32", "bfloat16"):
            figures = rf"{program} +│ {precision} +│ [\d,]+ +│ [\d,]+ +│ \d+\.\d\d"
            assert re.search(figures, done.stdout), done.stdout


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="another backend could be measured")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "65"], "--images: expected a multiple of 64, found 65"),
        (["--products", "0"], "--products: expected a multiple of 512, found 0"),
        (["--rounds", "0"], "--rounds: expected 1 or more, found 0"),
        ([], "expected KERAS_BACKEND jax or torch, found tensorflow"),
    ],
)
def test_what_cannot_be_measured(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_images", "--bundle", "nowhere", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
