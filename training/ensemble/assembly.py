"""Assembles the served model: network, linear SVM, neighbours and the joint formula, calibrated and measured."""

import logging
from dataclasses import dataclass, replace

import keras
import numpy as np

from model.network.classifier import field_positions
from model.network.linear_head import LinearHead, served_classifier
from model.prediction.answers import answer, softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetTemperatures, SubsetThresholds
from model.prediction.formula import HeadLogits, JointFormula
from model.prediction.neighbors import NeighborIndex
from model.settings import Settings
from training.ensemble.calibration import depth_outcomes, depth_thresholds, fit_head_temperatures, fit_temperature
from training.ensemble.formula_fitting import cross_fitted_logits, fit_formula, neighbors_help
from training.ensemble.hidden_fields import HiddenFields
from training.ensemble.linear_svm import fit_linear_head, linear_scores, ngram_field_weights
from training.ensemble.neighbor_index import index_neighbors, neighbor_logits
from training.ensemble.subset_calibration import calibrate_subsets
from training.metrics.classification import evaluation_metrics
from training.metrics.confidence import expected_calibration_error
from training.metrics.outcomes import Outcomes
from training.network.batches import CatalogBatches
from training.preparation import Prepared

_log = logging.getLogger("aisle.ensemble")


@dataclass(frozen=True)
class AssembledModel:
    """All that a bundle serves, and its figures on the validation catalog.

    Args:
        classifier: the served program, see `served_classifier`.
        neighbors: index of training products, or None.
        heads: names of all heads, "joint" last.
        metrics: as of `evaluation_metrics`, and "cross_fitted_calibration_error": of probabilities that were calibrated
            on other rows than they are measured on.
    """

    classifier: keras.Model
    neighbors: NeighborIndex | None
    heads: tuple[str, ...]
    calibration: Calibration
    metrics: dict


def assemble(
    trained: keras.Model, network: keras.Model, prepared: Prepared, val: CatalogBatches, settings: Settings
) -> AssembledModel:
    """Fit the linear SVM, the neighbours and the formula beside a trained network, calibrate and measure.

    Args:
        trained: from the batches' inputs to head logits.
        network: the program inside it, as `build_classifier` made it.
    """
    seed, labels = settings.training.seed, np.asarray(val.catalog.arrays["labels"])
    logits = {name.removesuffix("_logits"): values for name, values in trained.predict(val, verbose=0).items()}
    linear = _fitted_linear_head(prepared, settings)
    heads = HeadLogits(logits.pop("joint"), None if linear is None else linear_scores(linear, val.catalog))
    neighbors, heads = _with_neighbors(heads, labels, prepared, val, settings)
    formula = _fitted_formula(heads, labels, seed)
    beside = {"linear": heads.linear, "neighbors": heads.neighbors}
    logits |= {name: values for name, values in beside.items() if values is not None}
    calibration = Calibration(
        formula,
        fit_head_temperatures(logits, labels, _head_weights(logits, val)),
        settings.training.precision_target,
        settings.training.precision_confidence,
    )
    hidden = HiddenFields(trained, linear, neighbors, val, seed)
    calibration = calibrate_subsets(calibration, hidden, prepared.labels.taxonomy)
    temperatures = SubsetTemperatures(calibration.formula, prepared.shape.fields).of_rows(_flags(val))
    joint = calibration.formula.logits(heads, temperatures)
    calibration = _with_thresholds(calibration, joint, prepared, val)
    logits["joint"] = joint
    metrics = _measure(logits, calibration, prepared, val)
    unseen = cross_fitted_logits(heads, labels, seed, temperatures / np.float32(formula.temperature))
    metrics["cross_fitted_calibration_error"] = expected_calibration_error(Outcomes.of(labels, softmax(unseen)))
    classifier = served_classifier(network, prepared.shape, linear)
    return AssembledModel(classifier, neighbors, tuple(logits), calibration, metrics)


def _fitted_linear_head(prepared: Prepared, settings: Settings) -> LinearHead | None:
    buckets, seed = prepared.tokenizer.settings.hash_buckets, settings.training.seed
    field_weights = ngram_field_weights(prepared.shape.fields, settings.fields)
    return fit_linear_head(prepared.train, field_weights, prepared.labels.taxonomy, buckets, settings.linear, seed)


def _with_neighbors(
    heads: HeadLogits, labels: np.ndarray, prepared: Prepared, val: CatalogBatches, settings: Settings
) -> tuple[NeighborIndex | None, HeadLogits]:
    """The index and the heads with its logits; None where settings or the validation rows speak against neighbours."""
    mode = settings.neighbors.neighbor_head
    field_weights = ngram_field_weights(prepared.shape.fields, settings.fields)
    if mode == "off" or not field_weights or (mode == "auto" and heads.linear is None):
        return None, heads
    buckets = prepared.tokenizer.settings.hash_buckets
    index = index_neighbors(prepared.train, field_weights, buckets, settings.neighbors)
    if index is None:
        return None, heads
    with_them = replace(heads, neighbors=neighbor_logits(index, val.catalog, prepared.shape.num_classes))
    formula = fit_formula(with_them, labels, settings.training.seed)
    if mode == "auto" and not neighbors_help(with_them, formula, labels):
        _log.info("no neighbours: they would answer no more products right; --neighbor-head on keeps them anyway")
        return None, heads
    return index, with_them


def _fitted_formula(heads: HeadLogits, labels: np.ndarray, seed: int) -> JointFormula:
    """The formula with its temperature fitted on all rows, where its weights need a few thousand only."""
    formula = fit_formula(heads, labels, seed)
    formula = formula.recalibrated(1 / formula.temperature)
    formula = formula.recalibrated(fit_temperature(formula.logits(heads), labels))
    penalty = formula.penalty
    if penalty is not None:
        numbers = (penalty.weight, penalty.cap, penalty.slope)
        _log.info("linear SVM: its penalty has the weight %.3g, above a score of %.2f %.1f of that", *numbers)
    if formula.neighbor_weight:
        _log.info("neighbours: their logits have the weight %.3g", formula.neighbor_weight)
    return formula


def _with_thresholds(
    calibration: Calibration, joint: np.ndarray, prepared: Prepared, val: CatalogBatches
) -> Calibration:
    """The calibration with the thresholds of all products, and the coverages that those of sets of fields leave."""
    labels, taxonomy = np.asarray(val.catalog.arrays["labels"]), prepared.labels.taxonomy
    probabilities = softmax(joint)
    thresholds, _ = depth_thresholds(probabilities, labels, taxonomy, calibration)
    found = replace(calibration, thresholds=thresholds)
    least = SubsetThresholds(found, prepared.shape.fields).of_rows(_flags(val))
    outcomes = enumerate(depth_outcomes(probabilities, labels, taxonomy))
    return replace(found, coverages=tuple(float((best >= least[:, i]).mean()) for i, (best, _) in outcomes))


def _measure(logits: dict[str, np.ndarray], calibration: Calibration, prepared: Prepared, val: CatalogBatches) -> dict:
    fields, taxonomy, flags = prepared.shape.fields, prepared.labels.taxonomy, _flags(val)
    labels = np.asarray(val.catalog.arrays["labels"])
    outcomes = {
        head: Outcomes.of(labels, softmax(values, calibration.head_temperature(head)))
        for head, values in logits.items()
    }
    thresholds = SubsetThresholds(calibration, fields).of_rows(flags)
    answers = answer(logits["joint"], taxonomy, calibration, thresholds, top_k=5)
    return evaluation_metrics(outcomes, answers, flags, fields, taxonomy)


def _head_weights(heads: dict[str, np.ndarray], val: CatalogBatches) -> dict[str, np.ndarray]:
    presence = np.asarray(val.catalog.arrays["presence"])
    return {head: val.head_weight(presence, head) for head in heads}


def _flags(val: CatalogBatches) -> np.ndarray:
    """(N, number of the model's fields) presence flags of the validation rows."""
    return np.asarray(val.catalog.arrays["presence"])[:, field_positions(val.shape.fields)]
