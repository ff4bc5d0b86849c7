"""A backbone cut in two for fine-tuning: the frozen part runs once a picture, the rest in every epoch."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from model.network.image_encoder import backbone_of
from model.network.layers import BackbonePreprocessing


@dataclass(frozen=True)
class BackboneCut:
    """Both parts share their layers with the image encoder that they were cut from.

    Args:
        frozen: from "images" (B, H, W, 3) uint8 to {"image_features": (B, F)}, activations of `shape` laid flat; where
            nothing is frozen, the pixels.
        trained: from (B, *shape) float32 to the backbone's pooled features (B, width).
        is_at_pixels: whether nothing is frozen.
    """

    frozen: keras.Model
    trained: keras.Model
    is_at_pixels: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what lies between."""
        return tuple(self.trained.input.shape[1:])

    @property
    def dtype(self) -> type:
        """Type that keeps activations on disk without a loss that matters."""
        return np.uint8 if self.is_at_pixels else np.float16


def cut_backbone(image_encoder: keras.Model) -> BackboneCut:
    """Cut before the first layer that is trained, or earlier, where a single tensor goes from one side to the other.

    Where that tensor has no fewer numbers than the pixels, and where no such place is found, the cut is at the pixels.

    Args:
        image_encoder: as of `model.network.image_encoder.build_image_encoder`.
    """
    backbone = backbone_of(image_encoder)
    preprocessing = next(layer for layer in image_encoder.layers if isinstance(layer, BackbonePreprocessing))
    images = keras.Input(image_encoder.input.shape[1:], dtype="uint8", name="images")
    parts = _cut_before_training(backbone, math.prod(images.shape[1:]))
    if parts is None:
        between = keras.layers.Flatten(name="image_features")(images)
        given = keras.Input(images.shape[1:], dtype="float32", name="pixels")
        features = backbone(preprocessing(given))
    else:
        between = keras.layers.Flatten(dtype="float32", name="image_features")(parts[0](preprocessing(images)))
        given = keras.Input(parts[1].input.shape[1:], dtype="float32", name="activations")
        features = parts[1](given)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pooling")(features)
    frozen = keras.Model(images, {"image_features": between}, name="frozen_layers")
    return BackboneCut(frozen, keras.Model(given, features, name="trained_layers"), parts is None)


def _cut_before_training(backbone: keras.Model, num_pixels: int) -> tuple[keras.Model, keras.Model] | None:
    """The models before and after the cut; None where that is at the pixels."""
    layers = backbone.layers
    first = next((i for i, layer in enumerate(layers) if layer.trainable_weights), 0)
    for position in range(first, 0, -1):
        before = {id(tensor): tensor for layer in layers[:position] for tensor in _tensors(layer.output)}
        crossing = before.keys() & {id(tensor) for layer in layers[position:] for tensor in _tensors(layer.input)}
        if len(crossing) != 1 or (tensor := before[crossing.pop()]) is backbone.inputs[0]:
            continue
        if len(tensor.shape) != 4 or math.prod(tensor.shape[1:]) >= num_pixels:
            return None
        try:
            return keras.Model(backbone.input, tensor), keras.Model(tensor, backbone.output)
        except ValueError:  # something that is no layer goes past this place
            continue
    return None


def _tensors(found: Any) -> list[keras.KerasTensor]:
    return list(keras.tree.flatten(found))
