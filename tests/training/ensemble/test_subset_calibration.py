"""Temperature and thresholds where fields are missing, on a real network, a real linear SVM and real neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.prediction.answers import probabilities
from model.prediction.calibration import NEVER, Calibration
from model.prediction.field_subsets import SubsetThresholds
from model.prediction.formula import JointFormula, LinearPenalty
from model.settings import FieldSettings, LinearSettings, ModelSettings, NeighborSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES, with_wrong_labels
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.calibration import fit_temperature
from training.ensemble.calibration_rows import HeldOutRows
from training.ensemble.linear_svm import fit_linear_head
from training.ensemble.neighbor_index import index_neighbors
from training.ensemble.ngram_matrix import ngram_field_weights
from training.ensemble.precision_contract import DepthOutcomes
from training.ensemble.subset_calibration import calibrate_subsets
from training.ensemble.trained_model import TrainedModel

SHAPE, TREE = ClassifierShape(NAMES, 3, 0), Taxonomy(TOY_SHOP)
FORMULA = JointFormula(LinearPenalty(5.0, 1.0, 0.2), neighbor_weight=0.3, temperature=1.5)
#: Whatever its probability, each answer to a product as it comes is accepted.
CONTRACT = Calibration(FORMULA, {}, 0.65, 0.9, (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def hidden(encoded: EncodedCatalog, linear_tokenizer: Tokenizer) -> HeldOutRows:
    """A fifth of the labels is wrong beside an untrained network and an SVM of the right ones."""
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), FieldSettings(), linear_tokenizer, seed=0)
    weights = ngram_field_weights(NAMES, FieldSettings())
    head = fit_linear_head(encoded, weights, TREE, BUCKETS, LinearSettings(), 0)
    neighbors = index_neighbors(encoded, weights, BUCKETS, NeighborSettings())
    model = TrainedModel(SHAPE, network, network, head, neighbors)
    return HeldOutRows(model, with_wrong_labels(encoded), np.arange(60), 0)


def presence_of(hidden: HeldOutRows) -> np.ndarray:
    return hidden.catalog.arrays["presence"][:, :2]


@pytest.mark.parametrize("field", NAMES)
def test_every_set_of_fields_gets_the_temperature_that_suits_it(hidden: HeldOutRows, field: str) -> None:
    """Neighbours count beside the temperature, so it is fitted without them."""
    found = calibrate_subsets(CONTRACT, hidden, presence_of(hidden), TREE).formula
    rows = hidden.hidden((field,))
    heads = replace(rows.heads, neighbors=None)
    logits = found.logits(heads, np.float32([[found.subset_temperatures[field]]]))
    assert fit_temperature(logits, rows.labels) == pytest.approx(1, rel=0.01)
    assert fit_temperature(found.logits(heads), rows.labels) != pytest.approx(1, rel=0.1)
    assert found.subset_prior_masses[field] == pytest.approx(1 / (len(rows) + 2))
    assert replace(found, subset_temperatures={}, subset_prior_masses={}) == FORMULA


def test_a_temperature_is_not_lowered_by_any_number(hidden: HeldOutRows) -> None:
    """The default is so high that every set of fields would ask for a hundredth of it."""
    unsure = replace(CONTRACT, formula=replace(FORMULA, temperature=1000.0))
    assert calibrate_subsets(unsure, hidden, presence_of(hidden), TREE).formula.subset_temperatures == dict.fromkeys(
        NAMES, 500.0
    )


def test_few_rows_keep_the_default_temperature(hidden: HeldOutRows) -> None:
    """57 rows have a name, 45 a mall category."""
    assert list(
        calibrate_subsets(CONTRACT, hidden, presence_of(hidden), TREE, min_rows=50).formula.subset_temperatures
    ) == ["name"]


@pytest.mark.parametrize("field", NAMES)
def test_the_promise_is_kept_with_this_field_alone(hidden: HeldOutRows, field: str) -> None:
    found = calibrate_subsets(CONTRACT, hidden, presence_of(hidden), TREE)
    rows, formula = hidden.hidden((field,)), found.formula
    logits = formula.logits(rows.heads, np.float32([[formula.subset_temperatures[field]]]))
    masses = np.float32([[formula.subset_prior_masses[field]]])
    outcomes = DepthOutcomes.of(probabilities(logits, masses), rows.labels, TREE)
    depths = outcomes.accepted_depths(np.array(found.subset_thresholds[field], np.float32))
    assert (depths > 0).any()
    for depth in np.unique(depths[depths > 0]):
        assert outcomes.is_right[depths == depth, depth - 1].mean() > 0.65


def test_a_promise_that_nothing_keeps_accepts_nothing(hidden: HeldOutRows) -> None:
    """Four of five labels are right, and no probability tells which."""
    found = calibrate_subsets(replace(CONTRACT, precision_target=0.95), hidden, presence_of(hidden), TREE)
    assert found.subset_thresholds == dict.fromkeys(NAMES, (NEVER,) * 3)


def test_few_products_that_were_seen_have_the_thresholds_of_all(hidden: HeldOutRows) -> None:
    """57 names and 45 mall categories cannot show 98 %, right as they may be; products like them were among all."""
    found = calibrate_subsets(
        replace(CONTRACT, precision_target=0.98, precision_confidence=0.95), hidden, presence_of(hidden), TREE
    )
    assert found.subset_thresholds == {"mall_category": (NEVER,) * 3}  # all that have one have a name, too
    thresholds = SubsetThresholds(found, NAMES).of_rows(np.float32([[1, 0], [0, 1], [1, 1]]))
    assert thresholds.tolist() == [[0] * 3, [NEVER] * 3, [0] * 3]


def test_a_model_of_one_field_has_no_other_sets(hidden: HeldOutRows) -> None:
    shape = ClassifierShape(("name",), 3, 0)
    alone = replace(hidden, model=replace(hidden.model, shape=shape))
    assert calibrate_subsets(CONTRACT, alone, np.ones((60, 1)), TREE) == CONTRACT
