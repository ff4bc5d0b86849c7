"""Runs a bundle with OpenVINO on the CPU; needs neither TensorFlow nor Keras."""

from collections import deque
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import model.engines.no_telemetry  # noqa: F401  # isort: skip
import numpy as np
import openvino
from openvino import properties
from openvino.properties import device
from openvino.properties import hint as hints

from model.bundle_files import FILES
from model.engines.batch_shapes import bucket, padded
from model.engines.engine import Precision, ProgramEngine, Programs
from model.errors import EngineError
from model.machine.cores import usable_cores
from model.machine.thread_priority import lower_thread_priority

#: Arithmetic outside the integers of an int8 program is float32.
_TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16, "int8": openvino.Type.f32}
# Makes the bindings build their table of types now. Two threads that do it at the same time can wait for each other
# for ever: one holds the table's lock and waits for the interpreter's, the other the other way round.
openvino.Type.f32.to_dtype()
openvino.Tensor(np.zeros(1, np.float32))

#: One for the process, never freed: each gives the thread that makes it an alternate signal stack and takes it away
#: when it goes; where another thread lets it go, the next signal of the first is a segmentation fault.
CORE = openvino.Core()
# Read, not mapped: a program that uses the file's own pages dies when they are cut off on the disk.
CORE.set_property({properties.enable_mmap: False})

#: All that the joint formula reads, and the embedding.
_JOINT_OUTPUTS = ("network_logits", "linear_logits", "embedding")
_FEW_ROWS = 16  # classified on one thread, see OpenVinoEngine
_ENCODER_NICENESS = 3  # added to that of the other threads of a server


def processor_capabilities() -> list[str]:
    """Types in which OpenVINO computes natively on this processor: "FP32", "BF16", "INT8" and others."""
    return list(CORE.get_property("CPU", device.capabilities))


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
    """One compiled program; thread-safe, for no two calls at the same time share an inference request.

    Args:
        program: its file, or what `read_program` made of that, whose weights all who compile it share.
        precision: a resolved one, see `resolve_precision`.
        threads: most threads; 0 means all cores.
        num_streams: runs that go on at the same time, each on its share of the threads; further ones wait.
        outputs: names of those to compute; all when empty.
    Raises:
        EngineError: the file is missing or cannot be compiled.
    """

    def __init__(
        self,
        program: Path | openvino.Model,
        precision: Precision = "float32",
        threads: int = 0,
        num_streams: int = 1,
        outputs: Collection[str] = (),
    ):
        config = {
            hints.inference_precision: _TYPES[precision],
            properties.inference_num_threads: threads,
            properties.num_streams: num_streams,
            # By default the threads of every process on a machine are tied to the same first cores.
            hints.enable_cpu_pinning: False,
        }
        read = read_program(program) if isinstance(program, Path) else program
        if outputs:
            kept = [output.get_node() for output in read.outputs if _name(output) in outputs]
            read = openvino.Model(kept, read.get_parameters(), read.get_friendly_name())
        try:
            self._compiled = CORE.compile_model(read, "CPU", config)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile {read.get_friendly_name()}: {error}") from error
        self._idle_requests: deque[openvino.InferRequest] = deque()

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        count = len(next(iter(inputs.values())))
        size = bucket(count)
        batch = {name: padded(rows, size) for name, rows in inputs.items()}
        try:
            request = self._idle_requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()  # waits for a run to end when all streams are busy
        result = request.infer(batch, share_inputs=True)
        outputs = {_name(output): np.array(values[:count]) for output, values in result.items()}
        self._idle_requests.append(request)
        return outputs

    def row_shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Inputs by name: type in NumPy's words, shape of a row."""
        return {
            given.any_name: (
                given.element_type.to_dtype().name,
                tuple(dimension.get_length() for dimension in list(given.partial_shape)[1:]),
            )
            for given in self._compiled.inputs
        }


def read_program(path: Path) -> openvino.Model:
    """A program to compile, once or more often.

    Raises:
        EngineError: the file is missing or no program.
    """
    try:
        program = CORE.read_model(str(path))
    except RuntimeError as error:
        raise EngineError(f"OpenVINO cannot read {path}: {error}") from error
    for node in program.get_ops():
        # The processor reads no float16. Widened here, or each program compiled from this one would keep a copy.
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.f16:
            node.output(0).replace(openvino.op.Constant(node.data.astype(np.float32)).output(0))
    program.validate_nodes_and_infer_types()
    return program


def _name(output: Any) -> str:
    return str(output.get_node().get_friendly_name())


class _ByBatchSize:
    """Two ways to run one program: batches of up to `most` rows one way, larger ones the other."""

    def __init__(self, small: OpenVinoProgram, large: OpenVinoProgram, most: int):
        self._small, self._large, self._most = small, large, most
        self.row_shapes = small.row_shapes

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        is_small = len(next(iter(inputs.values()))) <= self._most
        return (self._small if is_small else self._large).run(inputs)


class OpenVinoEngine(ProgramEngine):
    """See `model.engines.engine.Engine`.

    Args:
        precision: see `resolve_precision`.
        threads: most threads; 0 means all cores.
        many_callers: see `open_engine`.
    """

    name = "openvino"
    device = "CPU"
    max_images = 4  # as many as the caches of a core hold

    def __init__(
        self,
        bundle_dir: Path,
        precision: Precision = "float32",
        threads: int = 0,
        many_callers: bool = False,
    ):
        threads = threads or usable_cores()
        self.num_streams = threads if many_callers else 1
        self.precision = resolve_precision(precision)
        encoder = bundle_dir / FILES.openvino_image_encoder
        if precision == "int8":
            encoder = bundle_dir / FILES.openvino_image_encoder_int8
            if not encoder.exists():
                raise EngineError(
                    f"expected {FILES.openvino_image_encoder_int8} in bundle {bundle_dir}, found none; write a"
                    " bundle that has it with python -m training quantize, or choose another precision"
                )
        how = (self.precision, threads)
        classifier = read_program(bundle_dir / FILES.openvino_classifier)
        # One run at a time on all threads: so quick that two runs beside each other cost more than they give. But a
        # few rows are done before a second thread has woken, which then costs more than the rest.
        few = OpenVinoProgram(classifier, *how, threads, _JOINT_OUTPUTS)
        many = few
        if threads > 1:
            many = OpenVinoProgram(classifier, *how, outputs=_JOINT_OUTPUTS)
        with_heads = OpenVinoProgram(classifier, *how)
        image_encoder: OpenVinoProgram | None = None
        if encoder.exists():
            # Its streams take every core for as long as there are pictures; who calls and what they call goes first.
            niceness = _ENCODER_NICENESS if many_callers else 0
            with ThreadPoolExecutor(1, initializer=lower_thread_priority, initargs=(niceness,)) as pool:
                image_encoder = pool.submit(OpenVinoProgram, encoder, *how, self.num_streams).result()
        super().__init__(
            Programs(
                with_heads,
                image_encoder,
                _ByBatchSize(few, many, _FEW_ROWS),
            ),
        )
