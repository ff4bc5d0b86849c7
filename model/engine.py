"""The seam between a bundle and whatever runs it: two programs, arrays in, arrays out."""

import typing
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from model.errors import EngineError

EngineName = Literal["auto", "openvino", "keras"]

#: Names and row shapes of the classifier's inputs; L is a length setting, F the feature width.
#: Inputs of fields that the bundle was not trained with do not exist.
#:   name_token_ids (L,) int32            mall_category_token_ids (L,) int32
#:   {name,mall_category,brand,maker}_ngram_ids (L,) int32, ..._ngram_weights (L,) float32
#:   image_features (F,) float32          presence (number of fields,) float32, 1.0 where given
Features = dict[str, np.ndarray]


class Engine(Protocol):
    """Runs the two programs of one bundle. Thread-safe; B rows in give B rows out, in order."""

    name: str

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 pictures to (B, F) float32 features."""
        ...

    def classify(self, features: Features) -> dict[str, np.ndarray]:
        """Classifier inputs, (B, ...) each, to outputs.

        Returns:
            {"<head>_logits": (B, K) float32 for each head of the bundle ("joint" always),
             "embedding": (B, E) float32, unit length}.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


def open_engine(bundle_dir: Path, engine: EngineName = "auto", precision: str = "float32", threads: int = 0) -> Engine:
    """Open a bundle's programs; `auto` takes OpenVINO and falls back to Keras.

    Args:
        precision: "float32" or "bfloat16", of the arithmetic inside OpenVINO; Keras keeps the bundle's own.
        threads: most threads OpenVINO uses; 0 means all cores.
    Raises:
        EngineError: the engine is unknown, not installed or cannot run the bundle.
    """
    if engine not in typing.get_args(EngineName):
        raise EngineError(f"expected an engine of {', '.join(typing.get_args(EngineName))}, found {engine!r}")
    if engine in ("auto", "openvino"):
        try:
            from model.openvino_engine import OpenVinoEngine

            return OpenVinoEngine(bundle_dir, precision=precision, threads=threads)
        except ImportError as error:
            if engine == "openvino":
                raise EngineError(
                    f"engine openvino is not installed ({error}); run pip install openvino or pass --engine keras"
                ) from error
    from model.keras_engine import KerasEngine

    return KerasEngine(bundle_dir)
