"""Which fields a product has decides how sure its answer may be: one temperature does not suit all sets of them."""

from typing import Any

import keras
import numpy as np

from model.network.layers import SubsetSharpness
from model.prediction.field_subsets import subset_codes


def add_subset_sharpness(classifier: keras.Model, sharpness: np.ndarray) -> keras.Model:
    """The same program whose "joint_logits" count what the product's given fields make of them.

    Args:
        classifier: its layers are shared with the result; it is the result where all numbers are 1.
        sharpness: (2 ** F,) float32 by `model.prediction.field_subsets.subset_code`.
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
    return np.asarray(sharpness[subset_codes(presence)], np.float32)[:, None]
