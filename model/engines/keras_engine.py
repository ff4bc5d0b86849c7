"""Runs a bundle with Keras on its current backend (TensorFlow, JAX or PyTorch), CPU or GPU."""

from pathlib import Path

from model.bundle_files import FILES
from model.engines.engine import Precision, ProgramEngine, Programs
from model.engines.keras_program import KerasProgram, gpu_backend
from model.errors import EngineError

#: Most rows in one run of the classifier and of the image encoder; powers of two.
MAX_ROWS = 512
MAX_IMAGES = 64


class KerasEngine(ProgramEngine):
    """See `model.engines.engine.Engine`. Batches are padded to powers of two, so that few shapes compile.

    Args:
        precision: `auto` is bfloat16 on a GPU, float32 on a CPU.
        threads: 0; the backend's threads are fixed before it starts.
        many_callers: see `open_engine`; makes no difference here.
    Raises:
        EngineError: int8 or threads were asked for, or a file cannot be loaded.
    """

    name = "keras"

    def __init__(
        self,
        bundle_dir: Path,
        precision: Precision = "float32",
        threads: int = 0,
        many_callers: bool = False,  # noqa: ARG002
    ):
        if threads:
            raise EngineError(
                f"expected 0 threads (all cores) with engine keras, found {threads}; its backend fixes them when it"
                " starts: set TF_NUM_INTRAOP_THREADS (TensorFlow), OMP_NUM_THREADS (PyTorch), or run under taskset"
            )
        if precision == "int8":
            raise EngineError(
                "expected precision auto, float32 or bfloat16 with engine keras, found int8; try openvino"
            )
        backend = gpu_backend()
        self.device = f"GPU ({backend})" if backend else "CPU"
        if precision == "auto":
            precision = "bfloat16" if backend else "float32"
        self.precision: Precision = precision
        encoder = bundle_dir / FILES.image_encoder
        if backend:
            self.max_images = MAX_IMAGES
            self.num_streams = 2  # one batch travels while the other is computed
        classifier = KerasProgram(bundle_dir / FILES.classifier, precision, MAX_ROWS)
        image_encoder: KerasProgram | None = None
        if encoder.exists():
            image_encoder = KerasProgram(encoder, precision, MAX_IMAGES)
        super().__init__(Programs(classifier, image_encoder))
