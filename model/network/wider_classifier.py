"""A classifier with more classes than it was trained with; the old ones keep their logits."""

from pathlib import Path

import keras
import numpy as np

import model.network.layers  # noqa: F401  registers the layers that the file names
from model.bundle_files import FILES

#: Bias of a new column until it is fitted. A linear classifier's score of what it does not know lies at the far side
#: of its margin.
_START_BIASES = {"linear_classes": -1.0}


def load_classifier(bundle_dir: Path) -> keras.Model:
    """The classifier of a bundle, on Keras' current backend."""
    return keras.saving.load_model(bundle_dir / FILES.classifier, compile=False, safe_mode=True)


def widen_classifier(classifier: keras.Model, num_classes: int, num_new: int) -> keras.Model:
    """The same network with `num_new` classes behind the old ones; their columns are zero until `set_columns`.

    Works on any graph in which each head's classes are the units of a dense layer called "<head>_classes".

    Args:
        classifier: from a bundle; stays as it is.
        num_classes: K of the classifier.
    """

    def wider(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name.endswith("_classes"):
            assert config["units"] == num_classes
            config["units"] = num_classes + num_new
        return layer.__class__.from_config(config)

    wide = keras.models.clone_model(classifier, clone_function=wider)
    for layer in classifier.layers:
        weights = layer.get_weights()
        if layer.name.endswith("_classes"):
            kernel, biases = weights
            new = np.full(num_new, _START_BIASES.get(layer.name, 0.0), biases.dtype)
            weights = [np.pad(kernel, ((0, 0), (0, num_new))), np.concatenate([biases, new])]
        wide.get_layer(layer.name).set_weights(weights)
    return wide


def set_columns(classifier: keras.Model, head: str, kernel: np.ndarray, biases: np.ndarray) -> None:
    """Fill the last columns of one head.

    Args:
        kernel: (D, M) float32, D being what the head's classes read.
        biases: (M,) float32.
    """
    layer = classifier.get_layer(f"{head}_classes")
    old_kernel, old_biases = layer.get_weights()
    old_kernel[:, -len(biases) :], old_biases[-len(biases) :] = kernel, biases
    layer.set_weights([old_kernel, old_biases])
