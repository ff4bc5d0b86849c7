"""Writes a bundle's programs: Keras files and their OpenVINO and ONNX exports, checked against each other."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

import model.network.layers  # noqa: F401  registers the layers that the files name
from model.bundle_files import FILES
from model.engines.engine import Engine
from model.engines.onnx_export import export_onnx
from model.errors import BundleError, EngineError

_log = logging.getLogger("aisle.export")

#: Largest difference between an exported and a Keras output that counts as equal, on logits and features.
EXPORT_TOLERANCE = 1e-3
_CHECK_ROWS = 8
_OPENVINO = {FILES.classifier: FILES.openvino_classifier, FILES.image_encoder: FILES.openvino_image_encoder}
_ONNX = {FILES.classifier: FILES.onnx_classifier, FILES.image_encoder: FILES.onnx_image_encoder}
#: Packages that write ONNX programs and check them.
_ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


def write_programs(folder: Path, classifier: keras.Model, image_encoder: keras.Model | None) -> None:
    """Save both programs as .keras files, export them to OpenVINO and ONNX, and compare the outputs.

    Without the packages that ONNX needs the bundle goes without, which is logged.

    Raises:
        BundleError: the export failed or differs from Keras by more than EXPORT_TOLERANCE.
    """
    (folder / FILES.classifier).parent.mkdir(parents=True, exist_ok=True)
    classifier.save(folder / FILES.classifier)
    if image_encoder is not None:
        image_encoder.save(folder / FILES.image_encoder)
    missing = _missing_for_onnx()
    if missing:
        _log.warning(
            "no ONNX programs in this bundle, which are the quicker ones on some machines: run pip install %s, then"
            " python -m training export-onnx",
            " ".join(missing),
        )
    _export(folder, [_OPENVINO] if missing else [_OPENVINO, _ONNX])


def replace_classifier(folder: Path, classifier: keras.Model) -> None:
    """Save another classifier in the place of the one in `folder`'s bundle, and export it as that one was.

    Raises:
        BundleError: the export failed or differs from Keras by more than EXPORT_TOLERANCE.
        EngineError: the bundle has ONNX programs, and a package for them is missing.
    """
    formats = [_OPENVINO]
    if (folder / FILES.onnx_classifier).exists():
        _require_onnx()
        formats.append(_ONNX)
    classifier.save(folder / FILES.classifier)
    _export(folder, formats, [FILES.classifier])


def write_onnx_programs(folder: Path) -> None:
    """Export both programs of the bundle in `folder` to ONNX, from their .keras files, and compare the outputs.

    Raises:
        EngineError: a package is missing.
        BundleError: the export failed, or it differs by more than EXPORT_TOLERANCE.
    """
    _require_onnx()
    _export(folder, [_ONNX])


def export_program(source: Path, *targets: Path) -> None:
    """Export a .keras file to OpenVINO or ONNX, by the ending of each target.

    Args:
        targets: ends in .xml, and its .bin goes beside it, or in .onnx, and its weights go beside it.
    Raises:
        BundleError: the export failed in a process of its own.
    """
    _convert([(source, *targets)])


def _missing_for_onnx() -> list[str]:
    return [package for package in _ONNX_PACKAGES if find_spec(package) is None]


def _require_onnx() -> None:
    if missing := _missing_for_onnx():
        raise EngineError(f"ONNX programs need {', '.join(missing)}; run pip install {' '.join(missing)}")


def _export(
    folder: Path,
    formats: Sequence[dict[str, str]],
    sources: Sequence[str] = (FILES.classifier, FILES.image_encoder),
) -> None:
    """Export what there is of the sources to each format, and compare all programs of these formats."""
    _convert(
        [
            (folder / source, *(folder / files[source] for files in formats))
            for source in sources
            if (folder / source).exists()
        ]
    )
    _verify(folder, formats)


def _convert(jobs: Sequence[tuple[Path, ...]]) -> None:
    """Export the first file of each job, which is loaded once, to the others.

    Keras converts through TensorFlow, so another backend hands over to a process of its own, one for all of them.
    """
    if keras.backend.backend() == "tensorflow":
        for source, *targets in jobs:
            _convert_here(source, targets)
        return
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", __name__, json.dumps([list(map(str, job)) for job in jobs])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        names = ", ".join(source.name for source, *_ in jobs)
        raise BundleError(f"the export of {names} failed: {done.stderr.strip()[-2000:]}")


def _convert_here(source: Path, targets: Sequence[Path]) -> None:
    import model.engines.no_telemetry  # noqa: F401  # Keras imports OpenVINO

    program = keras.saving.load_model(source, compile=False, safe_mode=True)
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".onnx":
            export_onnx(program, target)
        else:
            program.export(str(target), format="openvino", verbose=False)


def _verify(folder: Path, formats: Sequence[dict[str, str]]) -> None:
    from model.engines.keras_engine import KerasEngine

    reference = KerasEngine(folder)
    features, images = reference.examples(_CHECK_ROWS)
    expected = reference.classify(features)
    expected_features = reference.encode_images(images) if images is not None else np.zeros(0)
    for files in formats:
        engine = _exported(folder, files)
        found = engine.classify(features)
        for name, values in expected.items():
            _compare(files[FILES.classifier], name, values, found[name])
        if images is not None:
            found_features = engine.encode_images(images)
            _compare(files[FILES.image_encoder], "image_features", expected_features, found_features)
        engine.close()


def _exported(folder: Path, files: dict[str, str]) -> Engine:
    if files is _ONNX:
        from model.engines.onnx_engine import OnnxEngine

        return OnnxEngine(folder)
    from model.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(folder)


def _compare(program: str, output: str, expected: np.ndarray, found: np.ndarray) -> None:
    if expected.shape != found.shape or not np.allclose(expected, found, atol=EXPORT_TOLERANCE, rtol=EXPORT_TOLERANCE):
        worst = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("nan")
        raise BundleError(f"{program} differs from Keras in {output} by {worst:.2g}, more than {EXPORT_TOLERANCE}")


if __name__ == "__main__":
    _convert([tuple(map(Path, job)) for job in json.loads(sys.argv[1])])
