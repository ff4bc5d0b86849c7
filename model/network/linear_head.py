"""A linear head: the scores of a linear classifier over the hashed n-grams, beside the network and added to it.

    n-grams of every text field ── frozen table ─┬ sum ── frozen dense ── head "linear" ── capped, x weight ─┐
    pretrained words, where there are some ──────┘                                                           │
    all fields ── network ──────────────────────────────────────────────────────────────────────────── + ── head "joint"

On few rows a linear classifier of TF-IDF n-grams is hard to beat (Joachims 1998), and it errs elsewhere than the
network, so that the sum of both (a product of experts, Hinton 2002) is better than either.
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
        field_weights: field to what its n-grams and pretrained words count beside a name, for each text field that the
            model reads; without a name each counts 1.
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


@dataclass(frozen=True)
class LinearVote:
    """What the linear scores add to the network's joint logits: `weight` times what each lacks to `cap`, as a malus.

    Args:
        slope: share that scores above the cap keep; with 0 they are all the same, and the network decides among them.
    """

    weight: float
    cap: float
    slope: float

    def of(self, scores: np.ndarray) -> np.ndarray:
        """(N, K) float32 scores to (N, K) float32."""
        lack = np.float32(self.cap) - scores
        return np.float32(-self.weight) * np.maximum(lack, np.float32(self.slope) * lack)


def knows_products_without_names(text_fields: Collection[str]) -> bool:
    """Whether a head of these fields has weights of their own for products without a name.

    What a mall category says beside a name is less than it has to say alone. So its n-grams, and those of all other
    fields, are then looked up half the table further (domain adaptation by further features, Daume 2007).
    """
    return "name" in text_fields and len(text_fields) > 1


def add_linear_head(classifier: keras.Model, shape: ClassifierShape, head: LinearHead, vote: LinearVote) -> keras.Model:
    """The same program with the output "linear_logits", which has its say in "joint_logits".

    A product without text has linear logits of 0, and all its joint logits are moved alike, which changes no answer.

    Args:
        classifier: made by `build_classifier`; its layers are shared with the result.
    """
    inputs = {tensor.name: tensor for tensor in classifier.inputs}
    flags = {
        field: FieldFlag(shape.fields.index(field), name=f"{field}_is_given")(inputs["presence"])
        for field in head.field_weights
    }
    several = list(flags.values())
    has_text = keras.layers.Maximum(name="text_is_given")(several) if len(several) > 1 else several[0]
    logits = keras.layers.Multiply(name="linear_scores")([_linear_scores(inputs, shape, head, flags), has_text])
    lack = Affine(-1.0, vote.cap, dtype="float32", name="linear_cap")(logits)
    lack = keras.layers.LeakyReLU(vote.slope, dtype="float32", name="linear_lack")(lack)
    malus = Affine(-vote.weight, dtype="float32", name="linear_vote")(lack)
    own = keras.layers.Activation("linear", dtype="float32", name="network_logits")(
        classifier.get_layer("joint_classes").output
    )
    total = keras.layers.Add(dtype="float32", name="joint_sum")([own, malus])
    outputs = dict(classifier.output)
    outputs["linear_logits"] = keras.layers.Activation("linear", dtype="float32", name="linear_logits")(logits)
    outputs["joint_logits"] = keras.layers.Activation("linear", dtype="float32", name="joint_logits")(total)
    return keras.Model(inputs, outputs, name=classifier.name)


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
