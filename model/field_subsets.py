"""Which of its fields a product has decides how sure its answer may be: one temperature does not suit all of them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from model.layers import SubsetSharpness


def subset_code(given: Sequence[str], fields: Sequence[str]) -> int:
    """The number of a set of given fields, 0 to 2 ** F - 1: the sum of 2 ** position."""
    return sum(1 << fields.index(field) for field in given)


def add_subset_sharpness(classifier: keras.Model, sharpness: np.ndarray) -> keras.Model:
    """The same program whose "joint_logits" count what the product's given fields make of them.

    Args:
        classifier: its layers are shared with the result; it is the result where all numbers are 1.
        sharpness: (2 ** F,) float32 by `subset_code`.
    """
    if (sharpness == 1).all():
        return classifier
    inputs = {tensor.name: tensor for tensor in classifier.inputs}
    layer = SubsetSharpness(dtype="float32", name="subset_sharpness")
    sharpened = layer([classifier.get_layer("joint_logits").input, inputs["presence"]])
    layer.set_weights([sharpness])
    # Of the same name, for that is what an export calls its output.
    named = keras.layers.Activation("linear", dtype="float32", name="joint_logits")(sharpened)
    return keras.Model(inputs, {**classifier.output, "joint_logits": named}, name=classifier.name)


def unsharpened_logits(classifier: keras.Model) -> Any:
    """The program's joint logits before `add_subset_sharpness`, as new columns of "joint_classes" add to them."""
    if any(layer.name == "subset_sharpness" for layer in classifier.layers):
        return classifier.get_layer("subset_sharpness").input[0]
    return classifier.get_layer("joint_logits").output


def sharpness_of_rows(sharpness: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """(N, 1) float32 of each row.

    Args:
        presence: (N, F) flags of the model's fields.
    """
    codes = presence.astype(np.int64) @ (1 << np.arange(presence.shape[1]))
    return np.asarray(sharpness[codes], np.float32)[:, None]
