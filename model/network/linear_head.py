"""The classifier as it is served: the network, and a linear SVM over the hashed n-grams beside it.

    n-grams of every text field ── frozen table ─┬ sum ── frozen dense ── "linear_logits"
    pretrained words, where there are some ──────┘
    all fields ── network ── "network_logits", "<field>_logits", "embedding"

On few rows a linear classifier of TF-IDF n-grams is hard to beat (Joachims 1998), and it errs elsewhere than the
network; `model.prediction.formula` adds them up.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from model.network.classifier import ClassifierShape
from model.network.layers import Affine, FieldFlag, TurnedIds, shared_rows


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier as a table and a dense layer; both are frozen.

    Args:
        vectors: (hash_buckets / num_sharing, R) float16, a row for so many buckets of the tokenizer.
        kernel: (R, K) float32; with `vectors` the classifier's weights, exactly where R is K.
        biases: (K,) float32.
        num_sharing: neighbouring buckets that share a row.
        field_weights: weight of the n-grams and pretrained words of each text field beside a name; without a name each
            counts 1.
        pretrained: field to (PRETRAINED_DIM, R) float32, for each that has pretrained words; empty without them.
        nameless_pretrained: the same of products without a name; empty where `knows_products_without_names` is false.
    """

    vectors: np.ndarray
    kernel: np.ndarray
    biases: np.ndarray
    num_sharing: int
    field_weights: Mapping[str, float]
    pretrained: Mapping[str, np.ndarray]
    nameless_pretrained: Mapping[str, np.ndarray]


def knows_products_without_names(text_fields: Collection[str]) -> bool:
    """True for text fields of which a head has weights of their own for products without a name.

    A mall category says less beside a name than it has to say alone. So its n-grams, and those of all other
    fields, are then looked up half the table further (domain adaptation by further features, Daume 2007).
    """
    return "name" in text_fields and len(text_fields) > 1


def served_classifier(network: keras.Model, shape: ClassifierShape, head: LinearHead | None) -> keras.Model:
    """The program of a bundle: the network's logits as "network_logits", with a head also "linear_logits".

    A product without text has linear logits of 0.

    Args:
        network: made by `build_classifier`; its layers are shared with the result.
    """
    inputs = {tensor.name: tensor for tensor in network.inputs}
    outputs = dict(network.output)
    del outputs["joint_logits"]
    joint = network.get_layer("joint_classes").output
    outputs["network_logits"] = keras.layers.Activation("linear", dtype="float32", name="network_logits")(joint)
    if head is not None:
        scores = keras.layers.Activation("linear", dtype="float32", name="linear_logits")
        outputs["linear_logits"] = scores(_linear_logits(inputs, shape, head))
    return keras.Model(inputs, outputs, name=network.name)


def _linear_logits(inputs: dict[str, Any], shape: ClassifierShape, head: LinearHead) -> Any:
    flags = {
        field: FieldFlag(shape.fields.index(field), name=f"{field}_is_given")(inputs["presence"])
        for field in head.field_weights
    }
    several = list(flags.values())
    has_text = keras.layers.Maximum(name="text_is_given")(several) if len(several) > 1 else several[0]
    return keras.layers.Multiply(name="linear_scores")([_linear_scores(inputs, shape, head, flags), has_text])


def _linear_scores(inputs: dict[str, Any], shape: ClassifierShape, head: LinearHead, flags: dict[str, Any]) -> Any:
    # Half precision, for the table is most of the bundle; the sums are float32.
    table = keras.layers.Embedding(*head.vectors.shape, trainable=False, dtype="float16", name="linear_vectors")
    classes = keras.layers.Dense(shape.num_classes, trainable=False, name="linear_classes")
    bags = []
    for field, field_weight in head.field_weights.items():
        ids, weights = inputs[f"{field}_ngram_ids"], inputs[f"{field}_ngram_weights"]
        if field != "name" and knows_products_without_names(flags):
            ids = TurnedIds(len(head.vectors) * head.num_sharing, name=f"{field}_linear_ids")([ids, flags["name"]])
            counts = Affine(field_weight - 1, 1.0, name=f"{field}_linear_counts")(flags["name"])
            weights = keras.layers.Multiply(name=f"{field}_linear_weights")([weights, counts])
        else:
            weights = Affine(field_weight, name=f"{field}_linear_weights")(weights)
        ids = shared_rows(ids, head.num_sharing, f"{field}_linear_rows")
        vectors = keras.layers.Activation("linear", dtype="float32", name=f"{field}_linear_vectors")(table(ids))
        bags.append(keras.layers.Dot(axes=1, name=f"{field}_linear_bag")([weights, vectors]))
    bags += _pretrained_bags(inputs, head, flags)
    scores = classes(keras.layers.Add(name="linear_bag")(bags) if len(bags) > 1 else bags[0])
    table.set_weights([head.vectors])
    classes.set_weights([head.kernel, head.biases])
    return scores


def _pretrained_bags(inputs: dict[str, Any], head: LinearHead, flags: dict[str, Any]) -> list[Any]:
    bags = []
    for field, vectors in head.pretrained.items():
        words = inputs[f"{field}_pretrained"]
        bag = _frozen_dense(np.float32(head.field_weights[field]) * vectors, f"{field}_linear_pretrained")(words)
        if field in head.nameless_pretrained:
            alone = _frozen_dense(head.nameless_pretrained[field], f"{field}_linear_nameless")(words)
            is_nameless = Affine(-1.0, 1.0, name=f"{field}_linear_is_nameless")(flags["name"])
            alone = keras.layers.Multiply(name=f"{field}_linear_nameless_bag")([alone, is_nameless])
            bag = keras.layers.Multiply(name=f"{field}_linear_named_bag")([bag, flags["name"]])
            bags.append(alone)
        bags.append(bag)
    return bags


def _frozen_dense(kernel: np.ndarray, name: str) -> keras.layers.Dense:
    layer = keras.layers.Dense(kernel.shape[1], use_bias=False, trainable=False, name=name)
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel])
    return layer
