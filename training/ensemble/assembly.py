"""A trained network is completed by linear head and neighbours, calibrated, and measured on the validation split."""

import logging
from dataclasses import dataclass, replace

import keras
import numpy as np

from model.network.classifier import field_positions
from model.network.linear_head import LinearHead, add_linear_head
from model.network.subset_temperature import add_subset_sharpness, sharpness_of_rows
from model.prediction.answers import Calibration, answer, softmax
from model.prediction.field_subsets import SubsetThresholds
from model.prediction.neighbors import NeighborIndex
from model.settings import Settings
from training.ensemble.calibration import calibrate
from training.ensemble.ensemble_weights import Experts, answers_more, cross_fitted_logits, fit_expert_weights
from training.ensemble.hidden_fields import HiddenFields
from training.ensemble.linear_svm import fit_linear_head, linear_scores, ngram_field_weights
from training.ensemble.neighbor_index import index_neighbors, neighbor_votes
from training.ensemble.subset_temperature import fit_subset_sharpness
from training.ensemble.subset_thresholds import with_subset_thresholds
from training.metrics.classification import evaluation_metrics
from training.metrics.confidence import expected_calibration_error
from training.metrics.outcomes import Outcomes
from training.network.batches import CatalogBatches
from training.preparation import Prepared

_log = logging.getLogger("aisle.train")


@dataclass(frozen=True)
class AssembledModel:
    """A classifier, whole, and what the validation split says of it.

    Args:
        classifier: with the linear head, where there is one.
        neighbors: what votes beside it, or None.
        heads: the classifier's, "joint" last.
        metrics: as of `training.metrics.classification.evaluation_metrics`, and "cross_fitted_calibration_error": of
            probabilities that were calibrated on other rows than they are measured on.
    """

    classifier: keras.Model
    neighbors: NeighborIndex | None
    heads: tuple[str, ...]
    calibration: Calibration
    metrics: dict


def judge(
    trained: keras.Model, classifier: keras.Model, prepared: Prepared, val: CatalogBatches, settings: Settings
) -> AssembledModel:
    """Complete, calibrate and measure.

    Args:
        trained: from the batches' inputs to head logits.
        classifier: the program inside it, as `build_classifier` made it.
    """
    shape, seed = prepared.shape, settings.training.seed
    logits = {name.removesuffix("_logits"): values for name, values in trained.predict(val, verbose=0).items()}
    labels = np.asarray(val.catalog.arrays["labels"])
    network = logits.pop("joint")  # comes last
    linear = _fitted_linear_head(prepared, settings)
    scores = None if linear is None else linear_scores(linear, val.catalog)
    neighbors, votes = _chosen_neighbors(Experts(network, scores), labels, prepared, val, settings)
    experts = Experts(network, scores, votes)
    weights = fit_expert_weights(experts, labels, seed)
    if linear is not None and scores is not None:
        assert weights.vote is not None
        told = "linear head: its scores count %.3g times beside the network's, above %.2f %.1f of that"
        _log.info(told, weights.vote.weight, weights.vote.cap, weights.vote.slope)
        classifier = add_linear_head(classifier, shape, linear, weights.vote)
        logits["linear"] = scores
    if neighbors is not None and votes is not None:
        _log.info("neighbours: their votes count %.3g times beside the network's", weights.neighbors)
        neighbors = replace(neighbors, weight=weights.neighbors)
        logits["neighbors"] = votes
    hidden = HiddenFields(trained, linear, neighbors, val, seed)
    by_subset = fit_subset_sharpness(hidden, weights)
    classifier = add_subset_sharpness(classifier, by_subset)
    sharpness = sharpness_of_rows(by_subset, val.catalog.arrays["presence"][:, field_positions(shape.fields)])
    logits["joint"] = weights.logits(experts, sharpness)
    calibration = _calibrated(logits, prepared, val, settings)
    taxonomy = prepared.labels.taxonomy
    calibration = with_subset_thresholds(calibration, logits["joint"], hidden, weights, by_subset, taxonomy)
    metrics = _measure(logits, calibration, prepared, val)
    unseen = Outcomes.of(labels, softmax(cross_fitted_logits(experts, labels, seed) * sharpness))
    metrics["cross_fitted_calibration_error"] = expected_calibration_error(unseen)
    return AssembledModel(classifier, neighbors, tuple(logits), calibration, metrics)


def _fitted_linear_head(prepared: Prepared, settings: Settings) -> LinearHead | None:
    buckets, seed = prepared.tokenizer.settings.hash_buckets, settings.training.seed
    return fit_linear_head(
        prepared.train, prepared.shape.fields, prepared.labels.taxonomy, buckets, settings.linear, seed
    )


def _chosen_neighbors(
    others: Experts, labels: np.ndarray, prepared: Prepared, val: CatalogBatches, settings: Settings
) -> tuple[NeighborIndex, np.ndarray] | tuple[None, None]:
    """The neighbours and their votes on the validation rows; None where settings or these rows speak against them."""
    mode = settings.neighbors.neighbor_head
    field_weights = ngram_field_weights(prepared.shape.fields, settings.linear)
    if mode == "off" or not field_weights or (mode == "auto" and others.linear is None):
        return None, None
    buckets = prepared.tokenizer.settings.hash_buckets
    index = index_neighbors(prepared.train, field_weights, buckets, settings.neighbors)
    if index is None:
        return None, None
    votes = neighbor_votes(index, val.catalog, prepared.shape.num_classes)
    experts = replace(others, neighbors=votes)
    weights = fit_expert_weights(experts, labels, settings.training.seed)
    if mode == "auto" and not answers_more(experts, weights, labels):
        _log.info("no neighbours: they would answer no more products right; --neighbor-head on keeps them anyway")
        return None, None
    return index, votes


def _calibrated(
    logits: dict[str, np.ndarray], prepared: Prepared, val: CatalogBatches, settings: Settings
) -> Calibration:
    presence = np.asarray(val.catalog.arrays["presence"])
    weights = {head: val.head_weight(presence, head) for head in logits}
    labels = np.asarray(val.catalog.arrays["labels"])
    return calibrate(logits, labels, weights, prepared.labels.taxonomy, settings.training)


def _measure(logits: dict[str, np.ndarray], calibration: Calibration, prepared: Prepared, val: CatalogBatches) -> dict:
    shape, taxonomy = prepared.shape, prepared.labels.taxonomy
    labels = np.asarray(val.catalog.arrays["labels"])
    temperatures = {**calibration.head_temperatures, "joint": calibration.temperature}
    outcomes = {head: Outcomes.of(labels, softmax(values, temperatures[head])) for head, values in logits.items()}
    flags = np.asarray(val.catalog.arrays["presence"])[:, field_positions(shape.fields)]
    thresholds = SubsetThresholds(calibration, shape.fields).of_rows(flags)
    answers = answer(logits["joint"], taxonomy, calibration, thresholds, top_k=5)
    return evaluation_metrics(outcomes, answers, flags, shape.fields, taxonomy)
