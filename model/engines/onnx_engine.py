"""Runs a bundle with ONNX Runtime: TensorRT, CUDA or the CPU, whichever its build offers; needs no Keras."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import onnxruntime

from model.bundle_files import FILES, ONNX_WEIGHTS_SUFFIX
from model.engines.engine import Precision, ProgramEngine, Programs
from model.errors import EngineError
from model.machine.cores import usable_cores

#: ONNX Runtime's providers that can run our programs, the quickest first; each falls back to the next.
_PROVIDERS = {"TensorrtExecutionProvider": "GPU", "CUDAExecutionProvider": "GPU", "CPUExecutionProvider": "CPU"}
_TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(uint8)": "uint8"}

#: Pictures in one run that pay: on a CPU as many as its caches hold.
MAX_IMAGES = 4
MAX_IMAGES_ON_GPU = 64


class OnnxProgram:
    """One ONNX program in a session; thread-safe.

    Args:
        threads: of one run on the CPU; 0 means all cores. With one, a run takes its caller's thread and starts none.
        map_weights: see `open_engine`.
    Attributes:
        provider: the provider that runs it.
    Raises:
        EngineError: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 0, map_weights: bool = False):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; a provider that is missing shows in `provider`
        offered = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
        try:
            with nullcontext() if map_weights else _copied_weights(path, options):
                self._session = onnxruntime.InferenceSession(str(path), options, providers=offered)
        except Exception as error:  # its own errors share no base class
            raise EngineError(f"ONNX Runtime cannot run {path}: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.provider = self._session.get_providers()[0]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        # All of them: heads that are not asked for take no time that can be measured, and asking for few spares none.
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))

    @property
    def input_names(self) -> list[str]:
        """Names of its inputs, in its own order."""
        return [given.name for given in self._session.get_inputs()]

    def row_shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Inputs by name: type in NumPy's words, shape of a row."""
        return {given.name: (_TYPES[given.type], tuple(given.shape[1:])) for given in self._session.get_inputs()}


@contextmanager
def _copied_weights(path: Path, options: onnxruntime.SessionOptions) -> Iterator[None]:
    """Have a session that is opened inside copy the weights beside its program, whose pages it would use by itself."""
    weights = path.with_name(path.name + ONNX_WEIGHTS_SUFFIX)
    if not weights.exists():  # they are in the program
        yield
        return
    with weights.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        options.add_external_initializers_from_files_in_memory([weights.name], [content], [len(content)])
        yield


class OnnxEngine(ProgramEngine):
    """See `model.engines.engine.Engine`.

    Args:
        precision: "float32" or "auto", which is the same here.
        threads: most threads on the CPU; 0 means all cores.
        many_callers, map_weights: see `open_engine`.
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
        map_weights: bool = False,
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
        classifier = OnnxProgram(bundle_dir / FILES.onnx_classifier, threads, map_weights)
        kind, provider = _PROVIDERS[classifier.provider], classifier.provider.removesuffix("ExecutionProvider")
        self.device = kind if kind == provider else f"{kind} ({provider})"
        self.max_images = MAX_IMAGES if kind == "CPU" else MAX_IMAGES_ON_GPU
        encoder = bundle_dir / FILES.onnx_image_encoder
        image_encoder: OnnxProgram | None = None
        if encoder.exists():
            image_encoder = OnnxProgram(encoder, threads, map_weights)
        super().__init__(Programs(classifier, image_encoder))
