"""Runs a bundle with OpenVINO on the CPU; needs neither TensorFlow nor Keras."""

from pathlib import Path

import numpy as np
import openvino
from openvino import properties
from openvino.properties import hint as hints

from model.bundle_files import FILES
from model.engine import Features
from model.errors import EngineError

_PRECISIONS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class OpenVinoProgram:
    """One compiled program; thread-safe, for each call makes its own inference request.

    Args:
        precision: "float32" or "bfloat16" (needs a processor with AMX or AVX-512 BF16 to pay).
        threads: most threads; 0 means all cores.
    Raises:
        EngineError: the file is missing or cannot be compiled.
    """

    def __init__(self, path: Path, precision: str = "float32", threads: int = 0):
        if precision not in _PRECISIONS:
            raise EngineError(f"expected precision float32 or bfloat16, found {precision!r}")
        config = {
            hints.performance_mode: hints.PerformanceMode.LATENCY,
            hints.inference_precision: _PRECISIONS[precision],
            properties.inference_num_threads: threads,
        }
        core = openvino.Core()
        # Read, not mapped: a program that uses the file's own pages dies when they are cut off on the disk.
        core.set_property({properties.enable_mmap: False})
        try:
            self._compiled = core.compile_model(str(path), "CPU", config)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot run {path}: {error}") from error

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        result = self._compiled.create_infer_request().infer(inputs, share_inputs=True)
        return {output.get_node().get_friendly_name(): np.array(values) for output, values in result.items()}


class OpenVinoEngine:
    """See `model.engine.Engine`; the arguments are those of OpenVinoProgram."""

    name = "openvino"

    def __init__(self, bundle_dir: Path, precision: str = "float32", threads: int = 0):
        self._classifier = OpenVinoProgram(bundle_dir / FILES.openvino_classifier, precision, threads)
        encoder = bundle_dir / FILES.openvino_image_encoder
        self._image_encoder = OpenVinoProgram(encoder, precision, threads) if encoder.exists() else None

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to (B, F) float32."""
        if self._image_encoder is None:
            raise EngineError("this bundle has no picture branch; leave pictures out")
        return self._image_encoder.run({"images": images})["image_features"]

    def classify(self, features: Features) -> dict[str, np.ndarray]:
        """Classifier inputs to head logits and embedding."""
        return self._classifier.run(features)

    def close(self) -> None:
        """Drop the compiled programs."""
        del self._classifier, self._image_encoder
