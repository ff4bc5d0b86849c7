"""The seam between a bundle and whatever runs it: two programs, arrays in, arrays out."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from model.errors import EngineError
from model.features import Features

EngineName = Literal["auto", "openvino", "onnx", "keras"]
#: Arithmetic inside an engine; arrays go in and come out float32 all the same. auto takes bfloat16 where the
#: device computes in it, float32 elsewhere. int8 is OpenVINO's, for the image encoder of a quantised bundle
#: (`training quantize`); its classifier stays in float32.
Precision = Literal["auto", "float32", "bfloat16", "int8"]

#: What calibration and the figures of a bundle were measured in.
MEASURED_PRECISION: Precision = "float32"


class Engine(Protocol):
    """Runs the two programs of one bundle. Thread-safe; B rows in give B rows out, in order.

    Attributes:
        name: the engine's EngineName.
        precision: what it computes in, never "auto".
        device: what it runs on, "CPU" or "GPU" first: "CPU", "GPU (jax)".
        num_streams: runs at the same time that pay; more of them only wait for each other.
        max_images: pictures in one run of the image encoder that pay; more take as long a picture, or longer.
    """

    name: str
    precision: Precision
    device: str
    num_streams: int
    max_images: int

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 pictures to (B, F) float32 features."""
        ...

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        """Classifier inputs, (B, ...) each, to outputs.

        Args:
            all_heads: False spares the heads that the joint formula does not read, where the engine can.
        Returns:
            "network_logits" (B, K) float32, of the network's joint head, "linear_logits" (B, K) float32 with a linear
            SVM, "embedding" (B, E) float32 of unit length; with `all_heads` also "<field>_logits" (B, K) float32.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; it refuses every call from then on with EngineError."""
        ...


class Program(Protocol):
    """One of the two programs, loaded; thread-safe."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        ...

    def row_shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Inputs by name: type in NumPy's words, shape of a row."""
        ...


@dataclass(frozen=True)
class Programs:
    """The programs that an engine runs.

    Args:
        image_encoder: None for a bundle without a picture branch.
        joint_classifier: the classifier with the outputs that the joint formula reads; None where leaving out the
            others saves nothing.
    """

    classifier: Program
    image_encoder: Program | None
    joint_classifier: Program | None = None


class ProgramEngine:
    """Engine over two loaded programs."""

    name: str
    precision: Precision
    device: str
    num_streams = 1
    max_images = 16

    def __init__(self, programs: Programs):
        self._programs: Programs | None = programs

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to (B, F) float32.

        Raises:
            EngineError: the bundle has no picture branch, or the engine is closed.
        """
        image_encoder = self._opened().image_encoder
        if image_encoder is None:
            raise EngineError("this bundle has no picture branch; leave pictures out")
        return image_encoder.run({"images": images})["image_features"]

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        """Classifier inputs to head logits and embedding.

        Raises:
            EngineError: the engine is closed.
        """
        programs = self._opened()
        joint = None if all_heads else programs.joint_classifier
        return (joint or programs.classifier).run(features)

    def examples(self, num_rows: int) -> tuple[Features, np.ndarray | None]:
        """Classifier inputs and pictures to try an engine with; None for a bundle without a picture branch.

        Ids are 0 and 1, which every table has, presence flags either, other numbers between 0 and 1, pictures noise.

        Raises:
            EngineError: the engine is closed.
        """
        programs = self._opened()
        features = _examples(programs.classifier, num_rows)
        encoder = programs.image_encoder
        return features, None if encoder is None else _examples(encoder, num_rows)["images"]

    def close(self) -> None:
        """Drop the programs; a call under way ends as usual."""
        self._programs = None

    def _opened(self) -> Programs:
        programs = self._programs
        if programs is None:
            raise EngineError("this engine is closed; open the bundle again")
        return programs


def _examples(program: Program, num_rows: int) -> dict[str, np.ndarray]:
    random, inputs = np.random.default_rng(0), {}
    for name, (dtype, row_shape) in program.row_shapes().items():
        shape = (num_rows, *row_shape)
        if dtype == "float32" and name != "presence":
            inputs[name] = random.random(shape, dtype=np.float32)
        else:
            inputs[name] = random.integers(0, 256 if dtype == "uint8" else 2, shape).astype(dtype)
    return inputs
