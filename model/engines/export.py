"""Writes a bundle's programs: Keras files and their OpenVINO and ONNX exports, checked against each other."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

import model.network.layers  # noqa: F401  registers the layers that the files name
from model.bundle_files import FILES
from model.engines.engine import Engine
from model.errors import BundleError, EngineError

#: Largest difference between an exported and a Keras output that counts as equal, on logits and features.
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
    from model.engines.openvino_engine import OpenVinoEngine

    _verify(folder, OpenVinoEngine(folder), FILES.openvino_classifier, FILES.openvino_image_encoder)


def replace_classifier(folder: Path, classifier: keras.Model) -> None:
    """Save another classifier in the place of the one in `folder`'s bundle, and export it as that one was.

    Raises:
        BundleError: the export failed or differs from Keras by more than EXPORT_TOLERANCE.
        EngineError: the bundle has ONNX programs, and ONNX Runtime is not installed.
    """
    classifier.save(folder / FILES.classifier)
    export_program(folder / FILES.classifier, folder / FILES.openvino_classifier)
    from model.engines.openvino_engine import OpenVinoEngine

    _verify(folder, OpenVinoEngine(folder), FILES.openvino_classifier, FILES.openvino_image_encoder)
    if (folder / FILES.onnx_classifier).exists():
        write_onnx_programs(folder)


def write_onnx_programs(folder: Path) -> None:
    """Export both programs of the bundle in `folder` to ONNX, from their .keras files, and compare the outputs.

    Raises:
        EngineError: ONNX Runtime is not installed.
        BundleError: tf2onnx is not installed, the export failed, or it differs by more than EXPORT_TOLERANCE.
    """
    try:
        from model.engines.onnx_engine import OnnxEngine
    except ImportError as error:
        raise EngineError(f"the ONNX export is checked with ONNX Runtime ({error}); pip install onnxruntime") from error
    export_program(folder / FILES.classifier, folder / FILES.onnx_classifier)
    if (folder / FILES.image_encoder).exists():
        export_program(folder / FILES.image_encoder, folder / FILES.onnx_image_encoder)
    _verify(folder, OnnxEngine(folder), FILES.onnx_classifier, FILES.onnx_image_encoder)


def export_program(source: Path, target: Path) -> None:
    """Export a .keras file to OpenVINO (`target` ends in .xml, its .bin goes beside it) or ONNX (.onnx).

    Keras converts through TensorFlow, so another backend hands over to a process of its own.

    Raises:
        BundleError: the export failed in that process, or tf2onnx is not installed.
    """
    if keras.backend.backend() == "tensorflow":
        import model.engines.no_telemetry  # noqa: F401  # Keras imports OpenVINO

        target.parent.mkdir(parents=True, exist_ok=True)
        program = keras.saving.load_model(source, compile=False, safe_mode=True)
        if target.suffix == ".onnx":
            _export_onnx(program, target)
        else:
            program.export(str(target), format="openvino", verbose=False)
        return
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", __name__, str(source), str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"the export of {source.name} to {target.name} failed: {done.stderr.strip()[-2000:]}")


def _export_onnx(program: keras.Model, target: Path) -> None:
    inputs = {tensor.name: np.zeros((1, *tensor.shape[1:]), tensor.dtype) for tensor in program.inputs}
    program(inputs if len(inputs) > 1 else next(iter(inputs.values())))  # Keras exports what has been called once
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras patches tf2onnx
            program.export(str(target), format="onnx", verbose=False)
    except ImportError as error:
        raise BundleError(f"the ONNX export needs tf2onnx ({error}); run pip install 'tf2onnx>=1.17,<2'") from error


def _verify(folder: Path, exported: Engine, classifier_file: str, encoder_file: str) -> None:
    from model.engines.keras_engine import KerasEngine

    reference = KerasEngine(folder)
    features = _random_inputs(keras.saving.load_model(folder / FILES.classifier, compile=False, safe_mode=True))
    expected, found = reference.classify(features), exported.classify(features)
    for name, values in expected.items():
        _compare(classifier_file, name, values, found[name])
    if (folder / FILES.image_encoder).exists():
        encoder = keras.saving.load_model(folder / FILES.image_encoder, compile=False, safe_mode=True)
        images = np.random.default_rng(0).integers(0, 256, (2, *encoder.inputs[0].shape[1:]), dtype=np.uint8)
        _compare(encoder_file, "image_features", reference.encode_images(images), exported.encode_images(images))


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
