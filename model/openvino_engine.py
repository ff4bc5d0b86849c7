"""Runs a bundle with OpenVINO on the CPU; needs neither TensorFlow nor Keras."""

from pathlib import Path

import model.no_telemetry  # noqa: F401  # isort: skip
import numpy as np
import openvino
from openvino import properties
from openvino.properties import device
from openvino.properties import hint as hints

from model.bundle_files import FILES
from model.engine import Precision, ProgramEngine
from model.errors import EngineError

#: Arithmetic outside the integers of an int8 program is float32.
_TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16, "int8": openvino.Type.f32}


def processor_capabilities() -> list[str]:
    """What OpenVINO computes in natively on this processor: "FP32", "BF16", "INT8" and others."""
    return list(openvino.Core().get_property("CPU", device.capabilities))


def resolve_precision(precision: Precision) -> Precision:
    """The precision to compute in; `auto` is bfloat16 where the processor has it, else float32.

    Raises:
        EngineError: bfloat16 was asked for and the processor would only imitate it.
    """
    if precision in ("float32", "int8"):
        return precision
    capabilities = processor_capabilities()
    has_bfloat16 = "BF16" in capabilities
    if precision == "auto":
        return "bfloat16" if has_bfloat16 else "float32"
    if not has_bfloat16:
        raise EngineError(
            f"expected a processor that computes in bfloat16 (AMX or AVX-512 BF16), found {', '.join(capabilities)};"
            " choose precision float32 or auto"
        )
    return precision


class OpenVinoProgram:
    """One compiled program; thread-safe, for each call makes its own inference request.

    Args:
        precision: a resolved one, see `resolve_precision`.
        threads: most threads; 0 means all cores.
    Raises:
        EngineError: the file is missing or cannot be compiled.
    """

    def __init__(self, path: Path, precision: Precision = "float32", threads: int = 0):
        config = {
            hints.performance_mode: hints.PerformanceMode.LATENCY,
            hints.inference_precision: _TYPES[precision],
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


class OpenVinoEngine(ProgramEngine):
    """See `model.engine.Engine`.

    Args:
        precision: see `resolve_precision`.
        threads: most threads; 0 means all cores.
    """

    name = "openvino"
    device = "CPU"

    def __init__(self, bundle_dir: Path, precision: Precision = "float32", threads: int = 0):
        self.precision = resolve_precision(precision)
        encoder = bundle_dir / FILES.openvino_image_encoder
        if precision == "int8":
            encoder = bundle_dir / FILES.openvino_image_encoder_int8
            if not encoder.exists():
                raise EngineError(
                    f"expected {FILES.openvino_image_encoder_int8} in bundle {bundle_dir}, found none; write a"
                    " bundle that has it with python -m training quantize, or choose another precision"
                )
        super().__init__(
            OpenVinoProgram(bundle_dir / FILES.openvino_classifier, self.precision, threads),
            OpenVinoProgram(encoder, self.precision, threads) if encoder.exists() else None,
        )
