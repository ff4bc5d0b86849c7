"""The seam between a bundle and whatever runs it: two programs, arrays in, arrays out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from model.bundle.files import FILES
from model.errors import EngineError

if TYPE_CHECKING:
    from model.prediction.neighbors import NeighborIndex

EngineName = Literal["auto", "openvino", "onnx", "keras"]
#: Arithmetic inside an engine; arrays go in and come out float32 all the same. auto takes bfloat16 where the
#: device computes in it, float32 elsewhere. int8 is OpenVINO's, for the image encoder of a quantised bundle
#: (`training quantize`); its classifier stays in float32.
Precision = Literal["auto", "float32", "bfloat16", "int8"]

#: Names and row shapes of the classifier's inputs; L is a length setting, F the feature width.
#: Inputs of fields that the bundle was not trained with do not exist.
#:   name_token_ids (L,) int32            mall_category_token_ids (L,) int32
#:   {name,mall_category,brand,maker}_ngram_ids (L,) int32, ..._ngram_weights (L,) float32
#:   {name,mall_category}_pretrained (PRETRAINED_DIM,) float32, with pretrained words only
#:   image_features (F,) float32          presence (number of fields,) float32, 1.0 where given
Features = dict[str, np.ndarray]


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
            all_heads: False spares the work of the heads other than "joint" where the engine can.
        Returns:
            {"<head>_logits": (B, K) float32 for each head of the bundle ("joint" always, others perhaps only
             with `all_heads`), "embedding": (B, E) float32, unit length}.
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


@dataclass(frozen=True)
class Programs:
    """What an engine runs.

    Args:
        image_encoder: None for a bundle without a picture branch.
        joint_classifier: the classifier without its other heads; None where leaving them out saves nothing.
    """

    classifier: Program
    image_encoder: Program | None
    joint_classifier: Program | None = None


class ProgramEngine:
    """What the engines share once their programs are loaded.

    Args:
        bundle_dir: where the neighbours are, if the bundle has some.
    """

    num_streams = 1
    max_images = 16

    def __init__(self, bundle_dir: Path, programs: Programs):
        self._neighbors = read_neighbors(bundle_dir)
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
        outputs = (joint or programs.classifier).run(features)
        if self._neighbors is not None:
            votes = self._neighbors.votes(features, outputs["joint_logits"].shape[1])
            outputs["joint_logits"] = outputs["joint_logits"] + np.float32(self._neighbors.weight) * votes
            if all_heads:
                outputs["neighbors_logits"] = votes
        return outputs

    def close(self) -> None:
        """Drop the programs; a call under way ends as usual."""
        self._programs = None

    def _opened(self) -> Programs:
        programs = self._programs
        if programs is None:
            raise EngineError("this engine is closed; open the bundle again")
        return programs


def read_neighbors(bundle_dir: Path) -> "NeighborIndex | None":
    """The neighbours of a bundle; None where it has none.

    Raises:
        BundleError: their file cannot be read.
    """
    path = bundle_dir / FILES.neighbors
    if not path.exists():
        return None
    from model.prediction.neighbors import NeighborIndex  # needs SciPy, which other bundles do without

    return NeighborIndex.load(path)
