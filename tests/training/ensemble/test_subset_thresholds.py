"""The precision contract where fields are missing, on a real network, a real linear head and real neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.network.linear_head import LinearVote
from model.prediction.answers import Calibration, softmax
from model.prediction.field_subsets import SubsetThresholds
from model.settings import LinearSettings, ModelSettings, NeighborSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES, with_wrong_labels
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.calibration import NEVER, depth_outcomes
from training.ensemble.ensemble_weights import ExpertWeights
from training.ensemble.hidden_fields import HiddenFields
from training.ensemble.linear_svm import fit_linear_head, ngram_field_weights
from training.ensemble.neighbor_index import index_neighbors
from training.ensemble.subset_thresholds import with_subset_thresholds
from training.network.batches import CatalogBatches

SHAPE, TREE = ClassifierShape(NAMES, 3, 0), Taxonomy(TOY_SHOP)
SHARPNESS = np.ones(4, np.float32)
#: Whatever its probability, each answer to a product as it comes is accepted.
CONTRACT = Calibration(1.5, {}, 0.65, 0.9, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def hidden(encoded: EncodedCatalog, linear_tokenizer: Tokenizer) -> HiddenFields:
    """A fifth of the labels is wrong, as an untrained network and a head of the right ones see them."""
    network = build_classifier(SHAPE, ModelSettings(hidden_dim=2, fcl_dim=2), linear_tokenizer, seed=0)
    settings = LinearSettings()
    head = fit_linear_head(encoded, NAMES, TREE, BUCKETS, settings, 0)
    neighbors = index_neighbors(encoded, ngram_field_weights(NAMES, settings), BUCKETS, NeighborSettings())
    val = CatalogBatches(with_wrong_labels(encoded), SHAPE, 16)
    return HiddenFields(network, head, neighbors, val, 0)


WEIGHTS = ExpertWeights(1.0, LinearVote(5.0, 1.0, 0.2), 0.0, 0.5)


def joint_logits(hidden: HiddenFields, catalog: EncodedCatalog) -> np.ndarray:
    return WEIGHTS.logits(hidden.experts(catalog))


def fitted(hidden: HiddenFields, contract: Calibration) -> Calibration:
    logits = joint_logits(hidden, hidden.val.catalog)
    return with_subset_thresholds(contract, logits, hidden, WEIGHTS, SHARPNESS, TREE)


@pytest.mark.parametrize("field", NAMES)
def test_the_promise_is_kept_with_this_field_alone(hidden: HiddenFields, field: str) -> None:
    found = fitted(hidden, CONTRACT)
    catalog = hidden.catalog((field,))
    probabilities = softmax(joint_logits(hidden, catalog), CONTRACT.temperature)
    accepted = 0
    for threshold, (confidences, is_right) in zip(
        found.subset_thresholds[field],
        depth_outcomes(probabilities, catalog.arrays["labels"], TREE),
        strict=True,
    ):
        passed = confidences >= threshold
        accepted += passed.sum()
        assert not passed.any() or is_right[passed].mean() > 0.65
    assert accepted


def test_a_promise_that_nothing_keeps_accepts_nothing(hidden: HiddenFields) -> None:
    """Four of five labels are right, and no probability tells which."""
    found = fitted(hidden, replace(CONTRACT, precision_target=0.95))
    assert found.subset_thresholds == dict.fromkeys(NAMES, (NEVER,) * 3)


def test_coverages_are_those_of_products_as_they_come(hidden: HiddenFields) -> None:
    """Some of them lack a field and have to reach that set's thresholds; all others have to reach 0."""
    found = fitted(hidden, replace(CONTRACT, precision_target=0.95))
    presence = hidden.val.catalog.arrays["presence"][:, :2]
    lacking = (presence.sum(axis=1) == 1).mean()
    assert 0.1 < lacking < 0.9
    assert found.coverages == pytest.approx([1 - lacking] * 3)


def test_few_products_that_were_seen_have_the_thresholds_of_all(hidden: HiddenFields) -> None:
    """57 names and 45 mall categories cannot show 98 %, right as they may be; products like them were among all."""
    found = fitted(hidden, replace(CONTRACT, precision_target=0.98, precision_confidence=0.95))
    assert found.subset_thresholds == {"mall_category": (NEVER,) * 3}  # all that have one have a name, too
    assert found.coverages == (1.0, 1.0, 1.0)
    thresholds = SubsetThresholds(found, NAMES).of_rows(np.float32([[1, 0], [0, 1], [1, 1]]))
    assert thresholds.tolist() == [[0] * 3, [NEVER] * 3, [0] * 3]


def test_a_model_of_one_field_has_no_other_sets(hidden: HiddenFields) -> None:
    shape = ClassifierShape(("name",), 3, 0)
    catalog = hidden.val.catalog
    alone = replace(hidden, val=CatalogBatches(catalog, shape, 16))
    logits = np.zeros((len(catalog), 3), np.float32)
    found = with_subset_thresholds(CONTRACT, logits, alone, WEIGHTS, np.ones(2, np.float32), TREE)
    assert found == CONTRACT
