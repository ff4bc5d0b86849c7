"""Writes a bundle's programs: Keras files and their OpenVINO export, checked against each other."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

import model.layers  # noqa: F401  registers the layers that the files name
from model.bundle_files import FILES
from model.errors import BundleError

#: Largest difference between an OpenVINO and a Keras output that counts as equal, on logits and features.
EXPORT_TOLERANCE = 1e-3
_CHECK_ROWS = 8


def write_programs(folder: Path, classifier: keras.Model, image_encoder: keras.Model | None) -> None:
    """Save both programs as .keras files, export them to OpenVINO and compare the outputs.

    Raises:
        BundleError: the export failed or differs from Keras by more than EXPORT_TOLERANCE.
    """
    for program, name, target in (
        (classifier, FILES.classifier, FILES.openvino_classifier),
        (image_encoder, FILES.image_encoder, FILES.openvino_image_encoder),
    ):
        if program is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            program.save(folder / name)
            export_program(folder / name, folder / target)
    _verify(folder, classifier, image_encoder)


def export_program(source: Path, target: Path) -> None:
    """Export a .keras file to OpenVINO, `target` ending in .xml and its .bin.

    Keras converts through TensorFlow, so another backend hands over to a process of its own.

    Raises:
        BundleError: the export failed in that process.
    """
    if keras.backend.backend() == "tensorflow":
        import model.no_telemetry  # noqa: F401  # Keras imports OpenVINO

        target.parent.mkdir(parents=True, exist_ok=True)
        program = keras.saving.load_model(source, compile=False, safe_mode=True)
        program.export(str(target), format="openvino", verbose=False)
        return
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", __name__, str(source), str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"the OpenVINO export of {source.name} failed: {done.stderr.strip()[-2000:]}")


def _verify(folder: Path, classifier: keras.Model, image_encoder: keras.Model | None) -> None:
    from model.keras_engine import KerasEngine
    from model.openvino_engine import OpenVinoEngine

    reference, exported = KerasEngine(folder), OpenVinoEngine(folder)
    features = _random_inputs(classifier)
    expected, found = reference.classify(features), exported.classify(features)
    for name, values in expected.items():
        _compare(FILES.openvino_classifier, name, values, found[name])
    if image_encoder is not None:
        images = np.random.default_rng(0).integers(0, 256, (2, *image_encoder.inputs[0].shape[1:]), dtype=np.uint8)
        _compare(
            FILES.openvino_image_encoder,
            "image_features",
            reference.encode_images(images),
            exported.encode_images(images),
        )


def _random_inputs(classifier: keras.Model) -> dict[str, np.ndarray]:
    """Rows that exercise every input; ids stay under the smallest table a bundle can have."""
    random = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {}
    for tensor in classifier.inputs:
        shape = (_CHECK_ROWS, *tensor.shape[1:])
        if "int" in tensor.dtype:
            inputs[tensor.name] = random.integers(0, 2, shape).astype(np.int32)
        elif tensor.name == "presence":
            inputs[tensor.name] = random.integers(0, 2, shape).astype(np.float32)
        else:
            inputs[tensor.name] = random.random(shape, dtype=np.float32)
    return inputs


def _compare(program: str, output: str, expected: np.ndarray, found: np.ndarray) -> None:
    if expected.shape != found.shape or not np.allclose(expected, found, atol=EXPORT_TOLERANCE, rtol=EXPORT_TOLERANCE):
        worst = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("nan")
        raise BundleError(f"{program} differs from Keras in {output} by {worst:.2g}, more than {EXPORT_TOLERANCE}")


if __name__ == "__main__":
    export_program(Path(sys.argv[1]), Path(sys.argv[2]))
