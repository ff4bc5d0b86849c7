"""The second program: tokens, n-grams and picture features to head logits and the joint embedding.

    name ───────────┬ CNN widths 1-4 ┐
                    ├ n-gram bag ────┼ dense ─ head "name"          ─┐
                    └ pretrained ────┘                               │
    mall_category ── the same ──────── dense ─ head "mall_category" ─┤ missing    ┌ head "joint"
    other texts ──── n-gram bag ────── dense ────────────────────────┤ values ─ dense
    image_features ─────────────────── dense ─ head "image" ─────────┘            └ embedding

Every head also sees the n-gram bags directly, past the dense layers (wide and deep, Cheng et al. 2016):
on few rows a linear model of n-grams is hard to beat, and this path is one.

One class builds it; `ClassifierShape` says all that the network's form depends on.
"""

import dataclasses
from typing import Any

import keras

from model.network.layers import FieldFlag, MissingValue, ModalityDropout, shared_rows
from model.product import FIELDS, HEAD_FIELDS, HEADS, TEXT_FIELDS
from model.settings import FieldSettings, ModelSettings
from tokenizer.pretrained_words import PRETRAINED_DIM
from tokenizer.tokenizer import Tokenizer

CONVOLUTION_WIDTHS = (1, 2, 3, 4)


@dataclasses.dataclass(frozen=True)
class ClassifierShape:
    """Sizes of the network that the data decide.

    Args:
        fields: subset of FIELDS in their order; a branch for each.
        num_classes: leaves K.
        image_feature_dim: width F of the picture features, 0 without a picture.
    """

    fields: tuple[str, ...]
    num_classes: int
    image_feature_dim: int

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of this network: one for each field that has one, and the joint head."""
        return tuple(head for head in HEADS if head == "joint" or head in self.fields)


def build_classifier(
    shape: ClassifierShape, settings: ModelSettings, fields: FieldSettings, tokenizer: Tokenizer, seed: int
) -> keras.Model:
    """Build the network, Word2Vec vectors loaded.

    Returns:
        a model from the inputs named in `model/features.py` to {"<head>_logits": (B, K), "embedding": (B, fcl_dim)},
        float32.
    """
    keras.utils.set_random_seed(seed)
    return _Builder(shape, settings, fields, tokenizer, seed).build()


class _Builder:
    def __init__(
        self, shape: ClassifierShape, settings: ModelSettings, fields: FieldSettings, tokenizer: Tokenizer, seed: int
    ):
        self.shape = shape
        self.settings = settings
        self.field_settings = fields
        self.tokenizer = tokenizer
        self.seed = seed
        self.inputs: dict[str, Any] = {}
        self.bags: dict[str, Any] = {}
        text = [field for field in shape.fields if field in TEXT_FIELDS]
        if text:
            num_rows = min(settings.ngram_rows, tokenizer.settings.hash_buckets)
            self.num_sharing = tokenizer.settings.hash_buckets // num_rows
            self.ngram_table = keras.layers.Embedding(
                num_rows,
                settings.ngram_dim,
                embeddings_initializer=keras.initializers.RandomUniform(-0.05, 0.05, seed=seed),
                name="ngram_vectors",
            )
        self.words: tuple[Any, ...] = ()  # static and trained
        if any(field in tokenizer.sequence_fields for field in text):
            self.words = (
                self._word_embedding("static_word_vectors", trainable=False),
                self._word_embedding("trained_word_vectors", trainable=True),
            )

    def build(self) -> keras.Model:
        """All layers, then the word vectors: as initial values they would be written into the file's JSON."""
        model = self._network()
        for layer in self.words:
            layer.set_weights([self.tokenizer.word_vectors])
        return model

    def _network(self) -> keras.Model:
        encodings = {field: self._encode(field) for field in self.shape.fields}
        outputs = {}
        for head in HEAD_FIELDS:
            if head in encodings:
                bags = [self.bags[head]] if head in self.bags else []
                outputs[f"{head}_logits"] = self._logits(head, encodings[head], bags)
        joint, bags = self._join(encodings)
        outputs["joint_logits"] = self._logits("joint", joint, bags)
        embedding = keras.layers.UnitNormalization(name="unit_length")(joint)
        outputs["embedding"] = self._float32(embedding, "embedding")
        return keras.Model(self.inputs, outputs, name="classifier")

    def _encode(self, field: str) -> Any:
        if field == "image":
            features = self._input("image_features", (self.shape.image_feature_dim,), "float32")
            parts = [keras.layers.LayerNormalization(name="image_normalization")(features)]
        else:
            is_sequence = field in self.tokenizer.sequence_fields
            parts = [self._cnn(field)] if is_sequence else []
            parts.append(self._bag(field))
            if is_sequence and self.tokenizer.pretrained is not None:
                vector = self._input(f"{field}_pretrained", (PRETRAINED_DIM,), "float32")
                parts.append(keras.layers.LayerNormalization(name=f"{field}_pretrained_normalization")(vector))
        encoding = keras.layers.Concatenate(name=f"{field}_parts")(parts) if len(parts) > 1 else parts[0]
        encoding = keras.layers.Dropout(self._dropout_rate(field), name=f"{field}_dropout")(encoding)
        return self._dense(encoding, f"{field}_fcl")

    def _cnn(self, field: str) -> Any:
        """Two channels of word vectors, four widths, max over time (Kim 2014).

        As pictures one pixel high: exported, convolution, bias and activation then run as one, an eighth faster.
        """
        length = self.tokenizer.fields[field].num_tokens
        ids = self._input(f"{field}_token_ids", (length,), "int32")
        channels = keras.layers.Concatenate(name=f"{field}_channels")([words(ids) for words in self.words])
        row = keras.layers.Reshape((1, length, channels.shape[-1]), name=f"{field}_row")(channels)
        pooled = []
        for width in CONVOLUTION_WIDTHS:
            convolved = keras.layers.Conv2D(
                self.settings.hidden_dim,
                (1, width),
                padding="same",
                activation=self.settings.cnn_activation,
                name=f"{field}_convolution_{width}",
            )(row)
            pooled.append(keras.layers.GlobalMaxPooling2D(name=f"{field}_max_{width}")(convolved))
        return keras.layers.Concatenate(name=f"{field}_cnn")(pooled)

    def _bag(self, field: str) -> Any:
        """The weighted sum of hashed n-gram vectors."""
        count = self.tokenizer.fields[field].num_ngrams
        ids = self._input(f"{field}_ngram_ids", (count,), "int32")
        weights = self._input(f"{field}_ngram_weights", (count,), "float32")
        kept = keras.layers.Dropout(self.settings.ngram_dropout_rate, name=f"{field}_ngram_dropout")(weights)
        rows = shared_rows(ids, self.num_sharing, f"{field}_ngram_rows")
        self.bags[field] = keras.layers.Dot(axes=1, name=f"{field}_bag")([kept, self.ngram_table(rows)])
        return self.bags[field]

    def _join(self, encodings: dict[str, Any]) -> tuple[Any, list[Any]]:
        """The joint encoding, and the bags of the fields that modality dropout left."""
        presence = self._input("presence", (len(self.shape.fields),), "float32")
        kept = ModalityDropout(self.settings.modality_dropout_rate, seed=self.seed, name="modality_dropout")(presence)
        parts, bags = [], []
        for position, field in enumerate(self.shape.fields):
            flag = FieldFlag(position, name=f"{field}_presence")(kept)
            parts.append(MissingValue(name=f"{field}_or_missing")([encodings[field], flag]))
            if field in self.bags:
                bags.append(keras.layers.Multiply(name=f"{field}_bag_kept")([self.bags[field], flag]))
        joined = keras.layers.Concatenate(name="joint_parts")(parts) if len(parts) > 1 else parts[0]
        joined = keras.layers.Dropout(self.settings.joint_dropout_rate, name="joint_dropout")(joined)
        return self._dense(joined, "joint_fcl"), bags

    def _dense(self, inputs: Any, name: str) -> Any:
        return keras.layers.Dense(self.settings.fcl_dim, activation=self.settings.fcl_activation, name=name)(inputs)

    def _logits(self, head: str, encoding: Any, bags: list[Any]) -> Any:
        inputs = keras.layers.Concatenate(name=f"{head}_evidence")([encoding, *bags]) if bags else encoding
        logits = keras.layers.Dense(self.shape.num_classes, name=f"{head}_classes")(inputs)
        return self._float32(logits, f"{head}_logits")

    def _float32(self, tensor: Any, name: str) -> Any:
        return keras.layers.Activation("linear", dtype="float32", name=name)(tensor)

    def _input(self, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        self.inputs[name] = keras.Input(shape, dtype=dtype, name=name)
        return self.inputs[name]

    def _word_embedding(self, name: str, trainable: bool) -> Any:
        shape = self.tokenizer.word_vectors.shape
        return keras.layers.Embedding(*shape, embeddings_initializer="zeros", trainable=trainable, name=name)

    def _dropout_rate(self, field: str) -> float:
        has_head = field in HEAD_FIELDS
        return (
            float(getattr(self.field_settings, f"{field}_dropout_rate"))
            if has_head
            else self.settings.joint_dropout_rate
        )


def field_positions(fields: tuple[str, ...]) -> tuple[int, ...]:
    """Positions of `fields` in FIELDS, where catalogs keep all presence flags."""
    return tuple(FIELDS.index(field) for field in fields)
