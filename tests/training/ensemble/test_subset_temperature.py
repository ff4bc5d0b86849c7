"""How sure answers may be where fields are missing, on a real network and a real linear head."""

import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.network.linear_head import LinearVote, add_linear_head
from model.network.subset_temperature import add_subset_sharpness
from model.prediction.field_subsets import subset_code
from model.settings import LinearSettings, ModelSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES, with_wrong_labels
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble import subset_temperature as subset_sharpness
from training.ensemble.calibration import fit_temperature
from training.ensemble.ensemble_weights import ExpertWeights
from training.ensemble.hidden_fields import HiddenFields, with_fields_only
from training.ensemble.linear_svm import fit_linear_head
from training.ensemble.subset_temperature import fit_subset_sharpness
from training.network.batches import CatalogBatches

SHAPE, VOTE = ClassifierShape(NAMES, 3, 0), LinearVote(5.0, 0.0, 0.2)


def test_with_it_one_temperature_suits_every_set_of_fields(
    encoded: EncodedCatalog, linear_tokenizer: Tokenizer
) -> None:
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    head = fit_linear_head(encoded, NAMES, Taxonomy(TOY_SHOP), BUCKETS, LinearSettings(), 0)
    assert head is not None
    val, weights = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16), ExpertWeights(0.5, VOTE, 0.0)
    sharpness = fit_subset_sharpness(HiddenFields(network, head, None, val, 0), weights)
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


def test_what_is_less_sure_than_right_becomes_surer_but_not_by_any_number(
    encoded: EncodedCatalog, linear_tokenizer: Tokenizer
) -> None:
    """Labels are right and the weight is low."""
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    head = fit_linear_head(encoded, NAMES, Taxonomy(TOY_SHOP), BUCKETS, LinearSettings(), 0)
    hidden = HiddenFields(network, head, None, CatalogBatches(encoded, SHAPE, 16), 0)
    sharpness = fit_subset_sharpness(hidden, ExpertWeights(0.01, VOTE, 0.0))
    assert sharpness.tolist() == [1, 2, 2, 1]


def test_few_rows_tell_nothing(
    encoded: EncodedCatalog, linear_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subset_sharpness, "_LEAST_ROWS", 50)
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    val = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16)
    sharpness = fit_subset_sharpness(HiddenFields(network, None, None, val, 0), ExpertWeights(9.0, None, 0.0))
    assert sharpness[subset_code(["name"], NAMES)] != 1  # 57 rows
    assert sharpness[subset_code(["mall_category"], NAMES)] == 1  # 45 rows
