"""The network at a size whose parameters can be counted by hand."""

import dataclasses
from itertools import combinations

import keras
import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier, field_positions
from model.product import FIELDS, TEXT_FIELDS
from model.settings import FieldSettings, ModelSettings, text_fields
from tokenizer.pretrained_words import PRETRAINED_DIM, PretrainedWords
from tokenizer.settings import TokenizerSettings
from tokenizer.tokenizer import Tokenizer

FIELD_SETTINGS = FieldSettings(
    name_length=6, mall_category_length=5, name_ngrams=7, mall_category_ngrams=6, brand_ngrams=3, maker_ngrams=3
)
TOKENIZER = Tokenizer(
    TokenizerSettings(analyzer="script", vector_size=4, hash_buckets=16, ngram_min_count=1),
    text_fields(TEXT_FIELDS, FIELD_SETTINGS),
    ["red", "cap", "shoe"],
    np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32),
    np.ones(16, np.int64),
    {"name": 3, "mall_category": 3, "brand": 3, "maker": 3, "description": 3},
)
TOKENIZER_WITH_WORDS = Tokenizer(
    TOKENIZER.settings,
    list(TOKENIZER.fields.values()),
    TOKENIZER.tokens,
    TOKENIZER.word_vectors,
    TOKENIZER.ngram_frequencies,
    TOKENIZER.num_texts,
    PretrainedWords([], np.zeros((0, PRETRAINED_DIM), np.float16)),
)
SETTINGS = ModelSettings(hidden_dim=2, fcl_dim=5, ngram_dim=3)
SHAPE = ClassifierShape(FIELDS, num_classes=3, image_feature_dim=6)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    model = build_classifier(SHAPE, SETTINGS, FieldSettings(), TOKENIZER, seed=0)
    random = np.random.default_rng(1)  # "missing" starts at 0, where a mistake would not show
    model.set_weights([weight + random.normal(size=weight.shape) * 0.1 for weight in model.get_weights()])
    return model


def features(count: int, fields: tuple[str, ...] = FIELDS, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    texts = {field: [" ".join(random.permutation(["red", "cap", "new"])) for _ in range(count)] for field in fields}
    texts.pop("image", None)
    encoded = TOKENIZER.encode(texts)
    if "image" in fields:
        encoded["image_features"] = random.random((count, 6), dtype=np.float32)
    return {**encoded, "presence": np.ones((count, len(fields)), np.float32)}


def run(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values) for name, values in model(inputs).items()}


def test_the_parameters_counted_by_hand(classifier: keras.Model) -> None:
    vectors = 16 * 3 + 2 * 5 * 4  # n-grams; words, static and trained
    convolutions = 2 * sum(width * 8 * 2 + 2 for width in (1, 2, 3, 4))
    branches = 2 * ((8 + 3) * 5 + 5) + 3 * (3 * 5 + 5) + (2 * 6 + 6 * 5 + 5)
    joint = 6 * 5 + (6 * 5 * 5 + 5)
    heads = 2 * ((5 + 3) * 3 + 3) + (5 * 3 + 3) + ((5 + 5 * 3) * 3 + 3)
    assert classifier.count_params() == vectors + convolutions + branches + joint + heads == 971
    static = classifier.get_layer("static_word_vectors")
    assert not static.trainable
    assert [weight.path for weight in classifier.non_trainable_weights] == [static.embeddings.path]


def test_word_vectors_are_loaded_into_both_channels() -> None:
    model = build_classifier(SHAPE, SETTINGS, FieldSettings(), TOKENIZER, seed=0)
    for name in ("static_word_vectors", "trained_word_vectors"):
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], TOKENIZER.word_vectors)
    assert '"Constant"' not in model.to_json()  # it would be longer than the weights


def test_neighbouring_buckets_share_a_row_of_a_smaller_table() -> None:
    """Of 16 buckets 4 share each of 4 rows; with ids of one row exchanged nothing changes."""
    model = build_classifier(SHAPE, dataclasses.replace(SETTINGS, ngram_rows=4), FieldSettings(), TOKENIZER, seed=0)
    assert model.get_layer("ngram_vectors").get_weights()[0].shape == (4, 3)
    inputs = features(3)
    moved = {name: values ^ 3 if name.endswith("_ngram_ids") else values for name, values in inputs.items()}
    expected, found = run(model, inputs), run(model, moved)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    moved["name_ngram_ids"] = inputs["name_ngram_ids"] ^ 4
    assert not np.allclose(run(model, moved)["name_logits"], expected["name_logits"])


def test_outputs_and_their_shapes(classifier: keras.Model) -> None:
    outputs = run(classifier, features(4))
    assert {name: (values.shape, values.dtype.name) for name, values in outputs.items()} == {
        "name_logits": ((4, 3), "float32"),
        "mall_category_logits": ((4, 3), "float32"),
        "image_logits": ((4, 3), "float32"),
        "joint_logits": ((4, 3), "float32"),
        "embedding": ((4, 5), "float32"),
    }
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("fields", [fields for count in (1, 2) for fields in combinations(FIELDS, count)], ids="+".join)
def test_only_present_fields_get_inputs_and_heads(fields: tuple[str, ...]) -> None:
    shape = ClassifierShape(fields, 3, 6 if "image" in fields else 0)
    model = build_classifier(shape, SETTINGS, FieldSettings(), TOKENIZER, seed=0)
    assert {tensor.name for tensor in model.inputs} == set(features(1, fields))
    outputs = run(model, features(2, fields))
    assert set(outputs) == {f"{head}_logits" for head in shape.heads} | {"embedding"}
    assert shape.heads == (*(f for f in ("name", "mall_category", "image") if f in fields), "joint")


@pytest.mark.parametrize("position", range(len(FIELDS)), ids=FIELDS)
def test_what_an_absent_field_holds_does_not_matter(classifier: keras.Model, position: int) -> None:
    field = FIELDS[position]
    one, other = features(4, seed=1), features(4, seed=2)
    changed = {name: other[name] if name.startswith(field) else values for name, values in one.items()}
    changed = {**changed, **({f"{field}_ngram_weights": one[f"{field}_ngram_weights"] * 3} if field != "image" else {})}
    given, given_changed = run(classifier, one), run(classifier, changed)
    assert not np.allclose(given["joint_logits"], given_changed["joint_logits"])
    for inputs in (one, changed):
        inputs["presence"] = inputs["presence"].copy()
        inputs["presence"][:, position] = 0
    absent, absent_changed = run(classifier, one), run(classifier, changed)
    for output in ("joint_logits", "embedding"):
        np.testing.assert_array_equal(absent[output], absent_changed[output])
        assert not np.allclose(given[output], absent[output])


def test_a_row_is_the_same_alone_and_in_a_batch(classifier: keras.Model) -> None:
    batch = features(7)
    together = run(classifier, batch)
    for row in range(7):
        alone = run(classifier, {name: values[row : row + 1] for name, values in batch.items()})
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][row], atol=1e-5)


def test_padding_ngrams_weigh_nothing(classifier: keras.Model) -> None:
    batch = features(3)
    batch["name_ngram_weights"][:, -2:] = 0
    before = run(classifier, batch)["joint_logits"]
    batch["name_ngram_ids"][:, -2:] = 9
    np.testing.assert_array_equal(run(classifier, batch)["joint_logits"], before)


def test_the_seed_decides_the_weights() -> None:
    first, same, other = (
        build_classifier(SHAPE, SETTINGS, FieldSettings(), TOKENIZER, seed).get_weights() for seed in (1, 1, 2)
    )
    for one, two in zip(first, same, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("activation", ["gelu", "silu", "selu", "elu", "tanh", "leaky_relu"])
def test_every_activation_builds(activation: str) -> None:
    settings = dataclasses.replace(SETTINGS, cnn_activation=activation, fcl_activation=activation)
    model = build_classifier(ClassifierShape(("name",), 2, 0), settings, FieldSettings(), TOKENIZER, seed=0)
    assert np.isfinite(run(model, features(2, ("name",)))["joint_logits"]).all()


def test_positions_of_fields() -> None:
    assert field_positions(("name", "image")) == (0, 5)
