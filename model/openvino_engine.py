"""Runs a bundle with OpenVINO on the CPU; needs neither TensorFlow nor Keras."""

from pathlib import Path

import numpy as np
import openvino
import openvino.properties as properties
import openvino.properties.hint as hints

from model.bundle_files import FILES
from model.engine import Features
from model.errors import EngineError

_PRECISIONS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class OpenVinoEngine:
    """See `model.engine.Engine`. Each call makes its own inference request, so threads may share it.

    Args:
        precision: "float32" or "bfloat16" (needs a processor with AMX or AVX-512 BF16 to pay).
        threads: most threads; 0 means all cores.
    Raises:
        EngineError: a program is missing or cannot be compiled.
    """

    name = "openvino"

    def __init__(self, bundle_dir: Path, precision: str = "float32", threads: int = 0):
        if precision not in _PRECISIONS:
            raise EngineError(f"expected precision float32 or bfloat16, found {precision!r}")
        core = openvino.Core()
        config = {
            hints.performance_mode: hints.PerformanceMode.LATENCY,
            hints.inference_precision: _PRECISIONS[precision],
            properties.inference_num_threads: threads,
        }
        self._classifier = _compile(core, bundle_dir / FILES.openvino_classifier, config)
        encoder = bundle_dir / FILES.openvino_image_encoder
        self._image_encoder = _compile(core, encoder, config) if encoder.exists() else None

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to (B, F) float32."""
        if self._image_encoder is None:
            raise EngineError("this bundle has no picture branch; leave pictures out")
        result = self._image_encoder.create_infer_request().infer([images], share_inputs=True)
        return np.array(result[0])

    def classify(self, features: Features) -> dict[str, np.ndarray]:
        """Classifier inputs to head logits and embedding."""
        result = self._classifier.create_infer_request().infer(features, share_inputs=True)
        return {output.get_node().get_friendly_name(): np.array(values) for output, values in result.items()}

    def close(self) -> None:
        """Drop the compiled programs."""
        del self._classifier, self._image_encoder


def _compile(core: openvino.Core, path: Path, config: dict) -> openvino.CompiledModel:
    try:
        return core.compile_model(str(path), "CPU", config)
    except RuntimeError as error:
        raise EngineError(f"OpenVINO cannot run {path}: {error}") from error
