"""How sure answers about products without a name may be, on a real network and a real linear head."""

import dataclasses

import numpy as np
import pytest

from model.classifier import ClassifierShape, build_classifier
from model.linear_head import LinearVote, add_linear_head
from model.product import FIELDS
from model.settings import LinearSettings, ModelSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES
from tokenizer.tokenizer import Tokenizer
from training.batches import CatalogBatches
from training.calibrate import fit_temperature
from training.encoded_catalog import EncodedCatalog
from training.expert_weights import ExpertWeights
from training.linear_svm import fit_linear_head
from training.nameless_products import fit_nameless_sharpness, is_nameless, without_names

VOTE = LinearVote(5.0, 0.0, 0.2)


def with_wrong_labels(catalog: EncodedCatalog) -> EncodedCatalog:
    """Every fifth row belongs to another category than its texts tell."""
    labels = np.array(catalog.arrays["labels"])
    labels[1::5] = (labels[1::5] + 1) % 3
    return dataclasses.replace(catalog, arrays={**catalog.arrays, "labels": labels})


def test_with_their_sharpness_one_temperature_suits_them(encoded: EncodedCatalog, linear_tokenizer: Tokenizer) -> None:
    shape = ClassifierShape(NAMES, 3, 0)
    network = build_classifier(shape, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    head = fit_linear_head(encoded, NAMES, Taxonomy(TOY_SHOP), BUCKETS, LinearSettings(), 0)
    assert head is not None
    val, weights = CatalogBatches(with_wrong_labels(encoded), shape, 16), ExpertWeights(0.5, VOTE, 0.0)
    sharpness = fit_nameless_sharpness(network, head, weights, val, seed=0)
    assert 0.1 < sharpness < 0.9
    hidden = without_names(val.catalog, NAMES, 0)
    inputs = {tensor.name: hidden.arrays[tensor.name] for tensor in network.inputs}
    inputs["presence"] = inputs["presence"][:, :2]
    for given, temperature in ((1.0, 1 / sharpness), (sharpness, 1.0)):
        logits = np.asarray(add_linear_head(network, shape, head, VOTE, given)(inputs)["joint_logits"])
        assert fit_temperature(0.5 * logits, hidden.arrays["labels"]) == pytest.approx(temperature, rel=0.01)


def test_rows_without_names_are_those_with_other_texts(encoded: EncodedCatalog) -> None:
    hidden = without_names(encoded, NAMES, seed=0)
    given = encoded.arrays["presence"][:, 1] > 0
    assert len(hidden) == given.sum()
    np.testing.assert_array_equal(hidden.arrays["labels"], encoded.arrays["labels"][given])
    assert not hidden.arrays["presence"][:, FIELDS.index("name")].any()
    assert not any(values.any() for name, values in hidden.arrays.items() if name.startswith("name_"))
    np.testing.assert_array_equal(
        hidden.arrays["mall_category_ngram_ids"], encoded.arrays["mall_category_ngram_ids"][given]
    )
    assert is_nameless(hidden, NAMES).all()
    assert not is_nameless(encoded, NAMES).any()  # the last three have no text at all
    assert encoded.arrays["presence"][:57, 0].all()  # the catalog itself keeps its names


@pytest.mark.parametrize("fields", [("name",), ("mall_category",)])
def test_a_head_of_one_field_knows_none(encoded: EncodedCatalog, fields: tuple[str, ...]) -> None:
    assert not len(without_names(encoded, fields, seed=0))
    assert not is_nameless(encoded, fields).any()
