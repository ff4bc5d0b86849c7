"""The benchmark of the Keras engine on JAX's CPU backend, without TensorFlow and OpenVINO."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import runpy, sys
sys.modules.update(tensorflow=None, openvino=None)
sys.argv[1:] = {arguments!r}
runpy.run_module("benchmarks.throughput.gpu_images", run_name="__main__")
"""


def run(arguments: list[str], backend: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "COLUMNS": "120"}
    program = PROGRAM.format(arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_it_measures_both_programs_without_tensorflow(toy_bundle: Path) -> None:
    counts = ["--images", "64", "--products", "512", "--rounds", "1"]
    done = run(["--bundle", str(toy_bundle), *counts], "jax")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Keras 3\.\d+\.\d+ with jax on CPU, medians of 1", done.stdout)
    for program in ("image_encoder", "classifier"):
        for precision in ("float32", "bfloat16"):
            figures = rf"{program} +│ {precision} +│ [\d,]+ +│ [\d,]+ +│ \d+\.\d\d"
            assert re.search(figures, done.stdout), done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "65"], "--images: expected a multiple of 64, found 65"),
        (["--products", "0"], "--products: expected a multiple of 512, found 0"),
        (["--rounds", "0"], "--rounds: expected 1 or more, found 0"),
    ],
)
def test_counts_that_cannot_be_measured(arguments: list[str], message: str) -> None:
    done = run(["--bundle", "nowhere", *arguments], "jax")
    assert done.returncode == 2
    assert message in done.stderr
