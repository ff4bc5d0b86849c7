"""Rounds an image encoder's OpenVINO program to 8-bit integers, calibrated on pictures (post-training quantisation)."""

from collections.abc import Iterable
from pathlib import Path

import model.engines.no_telemetry  # noqa: F401  # isort: skip
import numpy as np
import openvino

from model.engines.openvino_engine import CORE
from model.errors import EngineError


def quantize_image_encoder(source: Path, target: Path, images: Iterable[np.ndarray]) -> None:
    """Write `target` (.xml, its .bin beside it) from `source`.

    Weights become int8 a channel, activations int8 (uint8 behind ReLU) a tensor, with ranges read off the pictures.

    Args:
        images: (H, W, 3) uint8 each, like those to be served.
    Raises:
        EngineError: NNCF is not installed, or cannot quantise this program.
    """
    try:
        import nncf
    except ImportError as error:
        raise EngineError(f"quantisation needs NNCF ({error}); run pip install 'nncf>=3.4,<4'") from error
    batches = [{"images": image[None]} for image in images]
    program = CORE.read_model(str(source))
    try:
        quantized = nncf.quantize(
            program, nncf.Dataset(batches), subset_size=len(batches), preset=nncf.QuantizationPreset.MIXED
        )
    except (RuntimeError, ValueError, nncf.ValidationError, nncf.UnsupportedModelError) as error:
        raise EngineError(f"NNCF cannot quantise {source}: {error}; serve it in float32 or bfloat16") from error
    openvino.save_model(quantized, str(target))
