"""Runs a bundle with ONNX Runtime: TensorRT, CUDA or the CPU, whichever its build offers; needs no Keras."""

from pathlib import Path

import numpy as np
import onnxruntime

from model.bundle_files import FILES
from model.engines.engine import Precision, ProgramEngine, Programs
from model.errors import EngineError
from model.machine.cores import usable_cores
from model.machine.throttle import Throttle

#: ONNX Runtime's providers that can run our programs, the quickest first; each falls back to the next.
_PROVIDERS = {"TensorrtExecutionProvider": "GPU", "CUDAExecutionProvider": "GPU", "CPUExecutionProvider": "CPU"}


#: Pictures in one run that pay: on a CPU as many as its caches hold.
MAX_IMAGES = 4
MAX_IMAGES_ON_GPU = 64


class OnnxProgram:
    """One ONNX program in a session; thread-safe.

    Args:
        threads: of one run on the CPU; 0 means all cores.
    Attributes:
        provider: the provider that runs it.
    Raises:
        EngineError: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; a provider that is missing shows in `provider`
        offered = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=offered)
        except Exception as error:  # its own errors share no base class
            raise EngineError(f"ONNX Runtime cannot run {path}: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.provider = self._session.get_providers()[0]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))


class OnnxEngine(ProgramEngine):
    """See `model.engines.engine.Engine`.

    Args:
        precision: "float32" or "auto", which is the same here.
        threads: most threads on the CPU; 0 means all cores.
        many_callers, throttle: see `open_engine`.
    Raises:
        EngineError: another precision was asked for, or the bundle has no ONNX programs that can be loaded.
    """

    name = "onnx"
    precision: Precision = "float32"

    def __init__(
        self,
        bundle_dir: Path,
        precision: Precision = "float32",
        threads: int = 0,
        many_callers: bool = False,
        throttle: Throttle | None = None,
    ):
        if precision not in ("auto", "float32"):
            raise EngineError(f"expected precision auto or float32 with engine onnx, found {precision}; try openvino")
        if not (bundle_dir / FILES.onnx_classifier).exists():
            raise EngineError(
                f"expected {FILES.onnx_classifier} in bundle {bundle_dir}, found none; write a bundle that has it with"
                " python -m training export-onnx, or choose another engine"
            )
        threads = threads or usable_cores()
        if many_callers:
            self.num_streams, threads = threads, 1  # a run with one thread takes that of its caller
        throttle = throttle or Throttle()
        classifier = OnnxProgram(bundle_dir / FILES.onnx_classifier, threads)
        throttle.pause()
        kind, provider = _PROVIDERS[classifier.provider], classifier.provider.removesuffix("ExecutionProvider")
        self.device = kind if kind == provider else f"{kind} ({provider})"
        self.max_images = MAX_IMAGES if kind == "CPU" else MAX_IMAGES_ON_GPU
        encoder = bundle_dir / FILES.onnx_image_encoder
        image_encoder: OnnxProgram | None = None
        if encoder.exists():
            image_encoder = OnnxProgram(encoder, threads)
            throttle.pause()
        super().__init__(Programs(classifier, image_encoder))
