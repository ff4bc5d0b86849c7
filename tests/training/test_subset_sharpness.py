"""How sure answers may be where fields are missing, on a real network and a real linear head."""

import dataclasses

import numpy as np
import pytest

from model.classifier import ClassifierShape, build_classifier
from model.field_subsets import add_subset_sharpness, subset_code
from model.linear_head import LinearVote, add_linear_head
from model.product import FIELDS
from model.settings import LinearSettings, ModelSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES
from tokenizer.tokenizer import Tokenizer
from training import subset_sharpness
from training.batches import CatalogBatches
from training.calibrate import fit_temperature
from training.encoded_catalog import EncodedCatalog
from training.expert_weights import ExpertWeights
from training.linear_svm import fit_linear_head
from training.subset_sharpness import fit_subset_sharpness, with_fields_only

SHAPE, VOTE = ClassifierShape(NAMES, 3, 0), LinearVote(5.0, 0.0, 0.2)


def with_wrong_labels(catalog: EncodedCatalog) -> EncodedCatalog:
    """Every fifth row belongs to another category than its texts tell."""
    labels = np.array(catalog.arrays["labels"])
    labels[1::5] = (labels[1::5] + 1) % 3
    return dataclasses.replace(catalog, arrays={**catalog.arrays, "labels": labels})


def test_with_it_one_temperature_suits_every_set_of_fields(
    encoded: EncodedCatalog, linear_tokenizer: Tokenizer
) -> None:
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    head = fit_linear_head(encoded, NAMES, Taxonomy(TOY_SHOP), BUCKETS, LinearSettings(), 0)
    assert head is not None
    val, weights = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16), ExpertWeights(0.5, VOTE, 0.0)
    sharpness = fit_subset_sharpness(network, head, weights, val, seed=0)
    assert sharpness[[0, subset_code(NAMES, NAMES)]].tolist() == [1, 1]
    whole = add_linear_head(network, SHAPE, head, VOTE)
    sharpened = add_subset_sharpness(whole, sharpness)
    for field in NAMES:
        alone = with_fields_only(val.catalog, (field,), 0)
        inputs = {tensor.name: alone.arrays[tensor.name] for tensor in network.inputs}
        inputs["presence"] = inputs["presence"][:, :2]
        found = sharpness[subset_code([field], NAMES)]
        assert 0.1 < found < 0.9
        for program, temperature in ((whole, 1 / found), (sharpened, 1.0)):
            logits = 0.5 * np.asarray(program(inputs)["joint_logits"])
            assert fit_temperature(logits, alone.arrays["labels"]) == pytest.approx(temperature, rel=0.01)


def test_nothing_becomes_surer(encoded: EncodedCatalog, linear_tokenizer: Tokenizer) -> None:
    """Labels are right and the weight is low, so that all answers are less sure than right."""
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    head = fit_linear_head(encoded, NAMES, Taxonomy(TOY_SHOP), BUCKETS, LinearSettings(), 0)
    sharpness = fit_subset_sharpness(
        network, head, ExpertWeights(0.01, VOTE, 0.0), CatalogBatches(encoded, SHAPE, 16), seed=0
    )
    assert (sharpness == 1).all()


def test_few_rows_tell_nothing(
    encoded: EncodedCatalog, linear_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subset_sharpness, "_LEAST_ROWS", 50)
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    val = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16)
    sharpness = fit_subset_sharpness(network, None, ExpertWeights(9.0, None, 0.0), val, seed=0)
    assert sharpness[subset_code(["name"], NAMES)] != 1  # 57 rows
    assert sharpness[subset_code(["mall_category"], NAMES)] == 1  # 45 rows


def test_the_other_fields_are_hidden(encoded: EncodedCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(60, dtype=np.int64)
    catalog = dataclasses.replace(encoded, arrays={**encoded.arrays, "image_feature_rows": rows})
    given = encoded.arrays["presence"][:, 1] > 0
    hidden = with_fields_only(catalog, ("mall_category",), seed=0)
    np.testing.assert_array_equal(hidden.arrays["labels"], encoded.arrays["labels"][given])
    flags = [field == "mall_category" for field in FIELDS]
    np.testing.assert_array_equal(hidden.arrays["presence"], np.tile(np.array(flags, np.float32), (given.sum(), 1)))
    assert not any(values.any() for name, values in hidden.arrays.items() if name.startswith("name_"))
    assert (hidden.arrays["image_feature_rows"] == -1).all()
    for name in ("mall_category_ngram_ids", "mall_category_ngram_weights"):
        np.testing.assert_array_equal(hidden.arrays[name], encoded.arrays[name][given])
    assert encoded.arrays["presence"][:57, 0].all()  # the catalog itself keeps its names
    pictures = with_fields_only(catalog, ("image",), seed=0)
    np.testing.assert_array_equal(pictures.arrays["image_feature_rows"], rows)
    monkeypatch.setattr(subset_sharpness, "_MAX_ROWS", 10)
    assert len(with_fields_only(catalog, ("image",), seed=0)) == 10
