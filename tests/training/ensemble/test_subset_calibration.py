"""Temperature and thresholds where fields are missing, on a real network, a real linear SVM and real neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds
from model.prediction.formula import JointFormula, LinearPenalty
from model.settings import FieldSettings, LinearSettings, ModelSettings, NeighborSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES, with_wrong_labels
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.calibration import NEVER, depth_outcomes, fit_temperature
from training.ensemble.hidden_fields import HiddenFields
from training.ensemble.linear_svm import fit_linear_head, ngram_field_weights
from training.ensemble.neighbor_index import index_neighbors
from training.ensemble.subset_calibration import calibrate_subsets
from training.network.batches import CatalogBatches

SHAPE, TREE = ClassifierShape(NAMES, 3, 0), Taxonomy(TOY_SHOP)
FORMULA = JointFormula(LinearPenalty(5.0, 1.0, 0.2), neighbor_weight=0.3, temperature=1.5)
#: Whatever its probability, each answer to a product as it comes is accepted.
CONTRACT = Calibration(FORMULA, {}, 0.65, 0.9, (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def hidden(encoded: EncodedCatalog, linear_tokenizer: Tokenizer) -> HiddenFields:
    """A fifth of the labels is wrong beside an untrained network and an SVM of the right ones."""
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), FieldSettings(), linear_tokenizer, seed=0)
    weights = ngram_field_weights(NAMES, FieldSettings())
    head = fit_linear_head(encoded, weights, TREE, BUCKETS, LinearSettings(), 0)
    neighbors = index_neighbors(encoded, weights, BUCKETS, NeighborSettings())
    val = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16)
    return HiddenFields(network, head, neighbors, val, 0)


@pytest.mark.parametrize("field", NAMES)
def test_every_set_of_fields_gets_the_temperature_that_suits_it(hidden: HiddenFields, field: str) -> None:
    """Neighbours count beside the temperature, so it is fitted without them."""
    found = calibrate_subsets(CONTRACT, hidden, TREE).formula
    catalog = hidden.catalog((field,))
    heads = replace(hidden.heads(catalog), neighbors=None)
    logits = found.logits(heads, found.subset_temperatures[field])
    assert fit_temperature(logits, catalog.arrays["labels"]) == pytest.approx(1, rel=0.01)
    assert fit_temperature(found.logits(heads), catalog.arrays["labels"]) != pytest.approx(1, rel=0.1)
    assert replace(found, subset_temperatures={}) == FORMULA


def test_a_temperature_is_not_lowered_by_any_number(hidden: HiddenFields) -> None:
    """The default is so high that every set of fields would ask for a hundredth of it."""
    unsure = replace(CONTRACT, formula=replace(FORMULA, temperature=1000.0))
    assert calibrate_subsets(unsure, hidden, TREE).formula.subset_temperatures == dict.fromkeys(NAMES, 500.0)


def test_few_rows_keep_the_default_temperature(hidden: HiddenFields) -> None:
    """57 rows have a name, 45 a mall category."""
    assert list(calibrate_subsets(CONTRACT, hidden, TREE, min_rows=50).formula.subset_temperatures) == ["name"]


@pytest.mark.parametrize("field", NAMES)
def test_the_promise_is_kept_with_this_field_alone(hidden: HiddenFields, field: str) -> None:
    found = calibrate_subsets(CONTRACT, hidden, TREE)
    catalog = hidden.catalog((field,))
    logits = found.formula.logits(hidden.heads(catalog), found.formula.subset_temperatures[field])
    outcomes = depth_outcomes(softmax(logits), catalog.arrays["labels"], TREE)
    accepted = 0
    for threshold, (confidences, is_right) in zip(found.subset_thresholds[field], outcomes, strict=True):
        passed = confidences >= threshold
        accepted += passed.sum()
        assert not passed.any() or is_right[passed].mean() > 0.65
    assert accepted


def test_a_promise_that_nothing_keeps_accepts_nothing(hidden: HiddenFields) -> None:
    """Four of five labels are right, and no probability tells which."""
    found = calibrate_subsets(replace(CONTRACT, precision_target=0.95), hidden, TREE)
    assert found.subset_thresholds == dict.fromkeys(NAMES, (NEVER,) * 3)


def test_few_products_that_were_seen_have_the_thresholds_of_all(hidden: HiddenFields) -> None:
    """57 names and 45 mall categories cannot show 98 %, right as they may be; products like them were among all."""
    found = calibrate_subsets(replace(CONTRACT, precision_target=0.98, precision_confidence=0.95), hidden, TREE)
    assert found.subset_thresholds == {"mall_category": (NEVER,) * 3}  # all that have one have a name, too
    thresholds = SubsetThresholds(found, NAMES).of_rows(np.float32([[1, 0], [0, 1], [1, 1]]))
    assert thresholds.tolist() == [[0] * 3, [NEVER] * 3, [0] * 3]


def test_a_model_of_one_field_has_no_other_sets(hidden: HiddenFields) -> None:
    shape = ClassifierShape(("name",), 3, 0)
    alone = replace(hidden, val=CatalogBatches(hidden.val.catalog, shape, 16))
    assert calibrate_subsets(CONTRACT, alone, TREE) == CONTRACT
