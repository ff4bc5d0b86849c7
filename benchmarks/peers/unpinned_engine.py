"""OpenVINO for servers of several processes: by default the threads of each would be tied to the same cores."""

from collections.abc import Collection
from pathlib import Path

import openvino
from openvino import properties
from openvino.properties import hint as hints

from model.bundle_files import FILES
from model.engine import Precision, ProgramEngine, Programs
from model.openvino_engine import OpenVinoProgram, resolve_precision

_TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}
_JOINT_OUTPUTS = ("joint_logits", "embedding")


class UnpinnedProgram(OpenVinoProgram):
    """See `OpenVinoProgram`; its threads run wherever the system puts them."""

    def __init__(self, path: Path, precision: Precision, threads: int, outputs: Collection[str] = ()):
        config = {
            hints.inference_precision: _TYPES[precision],
            hints.enable_cpu_pinning: False,
            properties.inference_num_threads: threads,
            properties.num_streams: 1,
        }
        core = openvino.Core()
        program = core.read_model(str(path))
        if outputs:
            kept = [node for node in map(_node, program.outputs) if node.get_friendly_name() in outputs]
            program = openvino.Model(kept, program.get_parameters(), program.get_friendly_name())
        self._compiled = core.compile_model(program, "CPU", config)


class UnpinnedEngine(ProgramEngine):
    """See `model.engine.Engine`; float32 or bfloat16."""

    name = "openvino"
    device = "CPU"

    def __init__(self, bundle_dir: Path, precision: Precision, threads: int):
        self.precision = resolve_precision(precision)
        how = (self.precision, threads)
        classifier, encoder = bundle_dir / FILES.openvino_classifier, bundle_dir / FILES.openvino_image_encoder
        super().__init__(
            Programs(
                UnpinnedProgram(classifier, *how),
                UnpinnedProgram(encoder, *how) if encoder.exists() else None,
                UnpinnedProgram(classifier, *how, outputs=_JOINT_OUTPUTS),
            )
        )


def _node(output: openvino.Output) -> openvino.Node:
    return output.get_node()
