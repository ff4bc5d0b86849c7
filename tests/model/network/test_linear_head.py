"""The linear head inside the program, against the same sums done by hand in numpy."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest

from model.engines.openvino_engine import OpenVinoProgram
from model.network.classifier import ClassifierShape, build_classifier
from model.network.linear_head import LinearHead, served_classifier
from model.product import FIELDS, TEXT_FIELDS
from model.settings import FieldSettings
from tests.model.network.test_classifier import SETTINGS, SHAPE, TOKENIZER, TOKENIZER_WITH_WORDS, features, run
from tokenizer.pretrained_words import PRETRAINED_DIM

FIELD_WEIGHTS = {"name": 1.0, "mall_category": 0.5, "brand": 1.0, "maker": 1.0, "description": 0.5}


def linear_head(
    fields: tuple[str, ...] = TEXT_FIELDS, rank: int = 2, num_sharing: int = 1, pretrained: tuple[str, ...] = ()
) -> LinearHead:
    random = np.random.default_rng(5)
    return LinearHead(
        random.normal(size=(16 // num_sharing, rank)).astype(np.float16),
        random.normal(size=(rank, 3)).astype(np.float32),
        random.normal(size=3).astype(np.float32),
        num_sharing,
        {field: FIELD_WEIGHTS[field] for field in fields},
        {field: random.normal(size=(PRETRAINED_DIM, rank)).astype(np.float32) for field in pretrained},
        {field: random.normal(size=(PRETRAINED_DIM, rank)).astype(np.float32) for field in pretrained[1:]},
    )


def by_hand(head: LinearHead, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Compute the scores; without a name the table's halves change places and each other field counts 1."""
    named = scores_by_hand(head, inputs, head.vectors, head.field_weights, head.pretrained)
    if list(head.field_weights) == ["name"]:
        return named
    turned = np.roll(head.vectors, len(head.vectors) // 2, axis=0)
    others = {field: 1.0 for field in head.field_weights if field != "name"}
    nameless = scores_by_hand(head, inputs, turned, others, head.nameless_pretrained)
    return np.where(inputs["presence"][:, :1] > 0, named, nameless)


def scores_by_hand(
    head: LinearHead,
    inputs: dict[str, np.ndarray],
    table: np.ndarray,
    field_weights: Mapping[str, float],
    pretrained: Mapping[str, np.ndarray],
) -> np.ndarray:
    table = table.astype(np.float32)
    bag = sum(
        weight
        * np.einsum(
            "bg,bgr->br", inputs[f"{field}_ngram_weights"], table[inputs[f"{field}_ngram_ids"] // head.num_sharing]
        )
        for field, weight in field_weights.items()
    )
    bag += sum(field_weights[field] * inputs[f"{field}_pretrained"] @ of for field, of in pretrained.items())
    return np.asarray(bag @ head.kernel + head.biases)


@pytest.fixture(scope="module")
def programs() -> tuple[keras.Model, keras.Model]:
    """The classifier without and with the head; they share their layers."""
    classifier = build_classifier(SHAPE, SETTINGS, FieldSettings(), TOKENIZER, seed=0)
    return classifier, served_classifier(classifier, SHAPE, linear_head())


def test_the_scores_are_the_linear_classifier_s_beside_the_network(programs: tuple[keras.Model, keras.Model]) -> None:
    network, whole = programs
    inputs = features(5)
    own, found = run(network, inputs), run(whole, inputs)
    assert found.keys() == own.keys() - {"joint_logits"} | {"network_logits", "linear_logits"}
    np.testing.assert_allclose(found["linear_logits"], by_hand(linear_head(), inputs), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["network_logits"], own["joint_logits"])
    for name in own.keys() - {"joint_logits"}:
        np.testing.assert_array_equal(found[name], own[name])
    assert run(served_classifier(network, SHAPE, None), inputs).keys() == found.keys() - {"linear_logits"}


def hide_others(inputs: dict[str, np.ndarray], row: int, fields: tuple[str, ...], given: tuple[str, ...]) -> None:
    inputs["presence"][row] = [field in given for field in fields]
    for name, values in inputs.items():
        field = name.removesuffix("_ngram_weights").removesuffix("_pretrained")
        if field != name and field not in given:
            values[row] = 0


def test_a_product_without_text_has_no_scores(programs: tuple[keras.Model, keras.Model]) -> None:
    _, whole = programs
    inputs = features(4)
    for row, given in enumerate([("image",), ("image", "name"), ("brand", "mall_category"), ()]):
        hide_others(inputs, row, FIELDS, given)
    found = run(whole, inputs)
    scores = by_hand(linear_head(), inputs)
    scores[[0, 3]] = 0
    np.testing.assert_allclose(found["linear_logits"], scores, rtol=0, atol=1e-5)


def test_nothing_of_it_is_trained(programs: tuple[keras.Model, keras.Model]) -> None:
    network, whole = programs
    assert len(whole.trainable_weights) == len(network.trainable_weights)
    assert whole.count_params() - network.count_params() == 16 * 2 + 2 * 3 + 3


@pytest.mark.parametrize("num_sharing", [1, 2])
def test_one_text_field(tmp_path: Path, num_sharing: int) -> None:
    """The file comes back alike, and so does its export."""
    shape = ClassifierShape(("name",), 3, 0)
    head = linear_head(("name",), rank=3, num_sharing=num_sharing)
    settings = dataclasses.replace(SETTINGS, ngram_rows=4)  # a table of its own
    whole = served_classifier(build_classifier(shape, settings, FieldSettings(), TOKENIZER, seed=0), shape, head)
    inputs = features(3, ("name",))
    expected = run(whole, inputs)
    np.testing.assert_allclose(expected["linear_logits"], by_hand(head, inputs), rtol=0, atol=1e-5)
    whole.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras", compile=False, safe_mode=True)
    whole.export(str(tmp_path / "classifier.xml"), format="openvino", verbose=False)
    served = OpenVinoProgram(tmp_path / "classifier.xml").run(inputs)
    for name, values in expected.items():
        np.testing.assert_array_equal(run(loaded, inputs)[name], values)
        np.testing.assert_allclose(served[name], values, rtol=0, atol=0.01)  # weights in 16 bits


@pytest.mark.parametrize(("fields", "num_sharing"), [(("name",), 1), (("name", "mall_category", "brand", "image"), 2)])
def test_pretrained_words_have_their_say(tmp_path: Path, fields: tuple[str, ...], num_sharing: int) -> None:
    """In the network and in the head, and in the export of both; the last product has no name where others do."""
    shape = ClassifierShape(fields, 3, 6 if "image" in fields else 0)
    read = tuple(field for field in fields if field in TOKENIZER.sequence_fields)
    texts = tuple(field for field in fields if field != "image")
    head = linear_head(texts, num_sharing=num_sharing, pretrained=read)
    network = build_classifier(shape, SETTINGS, FieldSettings(), TOKENIZER_WITH_WORDS, seed=0)
    whole = served_classifier(network, shape, head)
    inputs = features(3, fields)
    random = np.random.default_rng(2)
    for field in read:
        inputs[f"{field}_pretrained"] = random.normal(size=(3, PRETRAINED_DIM)).astype(np.float32) / 20
    hide_others(inputs, 2, fields, fields[1:] or fields)
    expected = run(whole, inputs)
    np.testing.assert_allclose(expected["linear_logits"], by_hand(head, inputs), rtol=0, atol=1e-4)
    other = run(network, {**inputs, "name_pretrained": -inputs["name_pretrained"]})["joint_logits"]
    assert np.abs(other - run(network, inputs)["joint_logits"]).max() > 1e-3
    whole.export(str(tmp_path / "classifier.xml"), format="openvino", verbose=False)
    served = OpenVinoProgram(tmp_path / "classifier.xml").run(inputs)
    for name, values in expected.items():
        np.testing.assert_allclose(served[name], values, rtol=0, atol=0.01)
