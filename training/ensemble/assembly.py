"""Assembles the served model: network, linear SVM, neighbours and the joint formula, calibrated and measured."""

import logging
from dataclasses import dataclass, replace

import keras
import numpy as np

from model.network.linear_head import served_classifier
from model.prediction.answers import Answers, answer, probabilities, softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds, prior_mass_values, temperature_values
from model.prediction.formula import HeadLogits, JointFormula, prior_mass
from model.prediction.neighbors import NeighborIndex
from model.product import head_rows
from model.settings import Settings
from model.taxonomy import Taxonomy
from training.ensemble.calibration import fit_head_temperatures
from training.ensemble.calibration_rows import CalibrationRows, CalibrationSource
from training.ensemble.formula_fitting import (
    cross_fitted_logits,
    fit_calibrated_formula,
    fit_formula,
    group_folds,
    neighbors_help,
)
from training.ensemble.precision_contract import DepthOutcomes, cross_fitted_thresholds, fit_thresholds
from training.ensemble.prior_correction import CorrectedRows
from training.ensemble.subset_calibration import calibrate_subsets
from training.ensemble.trained_model import TrainedModel
from training.metrics.classification import evaluation_metrics
from training.metrics.confidence import expected_calibration_error
from training.metrics.contract import contract_metrics
from training.metrics.outcomes import Outcomes
from training.sampling.row_draw import RowDraw

_PROMISE_FIGURES = ("precision_target", "accepted_share", "leaf_accepted_share", "accepted_precision")
#: Promised precisions that are measured beside the one asked for, where they are lower.
_LOWER_PROMISES = (0.98, 0.95, 0.9, 0.8)

_log = logging.getLogger("aisle.ensemble")


@dataclass(frozen=True)
class AssembledModel:
    """All that a bundle serves, and its figures.

    Args:
        classifier: the served program, see `served_classifier`.
        neighbors: index of training products, or None.
        heads: names of all heads, "joint" last.
        metrics: as of `evaluation_metrics`, of rows that the model did not learn from; those of the joint answer are
            cross-fitted: formula and thresholds come from other rows than they are measured on. Beside them
            cross_fitted_calibration_error, and lower_promises: a list of precision_target, accepted_share,
            leaf_accepted_share and accepted_precision, as thresholds for that target would hand answers out.
    """

    classifier: keras.Model
    neighbors: NeighborIndex | None
    heads: tuple[str, ...]
    calibration: Calibration
    metrics: dict


@dataclass(frozen=True)
class Calibrated:
    """The result of a calibration.

    Args:
        single_heads: names of the heads beside the joint one.
        metrics: see `AssembledModel`.
    """

    calibration: Calibration
    single_heads: tuple[str, ...]
    metrics: dict


def assemble(
    model: TrainedModel,
    source: CalibrationSource,
    taxonomy: Taxonomy,
    settings: Settings,
    draw: RowDraw | None = None,
) -> AssembledModel:
    """Calibrate, and make the served program.

    Args:
        source: rows that the model did not learn from, or that models like it did not.
        draw: of the rows that it learned, whose shares are corrected if the settings say so; None for all of them.
    """
    if draw is not None and draw.changes_answers and settings.sampling.prior_correction == "on":
        corrected = CorrectedRows(source, draw)
        found = calibrate(corrected, taxonomy, settings)
        model = corrected.correction.of_model(model)  # after its rows were answered as it was
    else:
        found = calibrate(source, taxonomy, settings)
    return AssembledModel(
        served_classifier(model.classifier, model.shape, model.linear),
        model.neighbors if "neighbors" in found.single_heads else None,
        (*found.single_heads, "joint"),
        found.calibration,
        found.metrics,
    )


def calibrate(source: CalibrationSource, taxonomy: Taxonomy, settings: Settings) -> Calibrated:
    """Fit the formula, the temperatures and the thresholds, and measure."""
    seed, fields, rows = settings.training.seed, source.fields, source.rows
    heads = _chosen_heads(rows, settings)
    single = _single_heads(rows, heads)
    calibration = Calibration(
        _fitted_formula(heads, rows, seed),
        fit_head_temperatures(single, rows.labels, _head_weights(single, rows, fields)),
        settings.training.precision_target,
        settings.training.precision_confidence,
    )
    calibration = calibrate_subsets(calibration, source, rows.presence, taxonomy)
    temperatures = temperature_values(calibration.formula, fields).of_rows(rows.presence)
    joint = calibration.formula.logits(heads, temperatures)
    calibration = _with_thresholds(calibration, joint, rows, fields, taxonomy)
    metrics = _measure(calibration, heads, single, rows, fields, taxonomy, seed)
    return Calibrated(calibration, tuple(single), metrics)


def _chosen_heads(rows: CalibrationRows, settings: Settings) -> HeadLogits:
    """The heads, without neighbours where these answer no more rows right."""
    heads = rows.heads
    if heads.neighbors is None or settings.neighbors.neighbor_head == "on":
        return heads
    formula = fit_formula(heads, rows.labels, settings.training.seed)
    if neighbors_help(heads, formula, rows.labels):
        return heads
    _log.info("no neighbours: they would answer no more products right; --neighbor-head on keeps them anyway")
    return replace(heads, neighbors=None)


def _fitted_formula(heads: HeadLogits, rows: CalibrationRows, seed: int) -> JointFormula:
    """The formula, no surer than the rows behind it."""
    formula = fit_calibrated_formula(heads, rows.labels, seed)
    penalty = formula.penalty
    if penalty is not None:
        numbers = (penalty.weight, penalty.cap, penalty.slope)
        _log.info("linear SVM: its penalty has the weight %.3g, above a score of %.2f %.1f of that", *numbers)
    if formula.neighbor_weight:
        _log.info("neighbours: their logits have the weight %.3g", formula.neighbor_weight)
    return replace(formula, prior_mass=prior_mass(rows.num_distinct))


def _single_heads(rows: CalibrationRows, heads: HeadLogits) -> dict[str, np.ndarray]:
    beside = {"linear": heads.linear, "neighbors": heads.neighbors}
    return rows.single_heads | {name: values for name, values in beside.items() if values is not None}


def _with_thresholds(
    calibration: Calibration, joint: np.ndarray, rows: CalibrationRows, fields: tuple[str, ...], taxonomy: Taxonomy
) -> Calibration:
    """The calibration with the thresholds of all products, fitted beside those of the sets of fields.

    Args:
        joint: (N, K) float32, calibrated.
    """
    masses = prior_mass_values(calibration.formula, fields).of_rows(rows.presence)
    outcomes = DepthOutcomes.of(probabilities(joint, masses), rows.labels, taxonomy, rows.weights)
    floors = _floors(calibration, rows, fields, taxonomy)
    thresholds = fit_thresholds(outcomes, calibration, floors)
    depths = outcomes.accepted_depths(np.maximum(floors, np.array(thresholds, np.float32)))
    coverages = tuple(float((depths == depth).mean()) for depth in range(1, taxonomy.depth + 1))
    return replace(calibration, thresholds=thresholds, coverages=coverages)


def _floors(calibration: Calibration, rows: CalibrationRows, fields: tuple[str, ...], taxonomy: Taxonomy) -> np.ndarray:
    """(N, D) float32, the thresholds of each row's set of fields alone."""
    alone = replace(calibration, thresholds=(0.0,) * taxonomy.depth)
    return SubsetThresholds(alone, fields).of_rows(rows.presence)


def _measure(
    calibration: Calibration,
    heads: HeadLogits,
    single: dict[str, np.ndarray],
    rows: CalibrationRows,
    fields: tuple[str, ...],
    taxonomy: Taxonomy,
    seed: int,
) -> dict:
    """Metrics, those of the joint answer cross-fitted."""
    formula, folds = calibration.formula, group_folds(rows.groups, seed)
    relative = temperature_values(formula, fields).of_rows(rows.presence) / np.float32(formula.temperature)
    joint = cross_fitted_logits(heads, rows.labels, folds, relative, seed)
    masses = prior_mass_values(formula, fields).of_rows(rows.presence)
    calibrated = probabilities(joint, masses)
    outcomes = DepthOutcomes.of(calibrated, rows.labels, taxonomy, rows.weights)
    floors = _floors(calibration, rows, fields, taxonomy)

    def answers_for(promise: Calibration, top_k: int) -> Answers:
        thresholds = cross_fitted_thresholds(outcomes, promise, folds, floors)
        return answer(joint, masses, taxonomy, promise, thresholds, top_k)

    by_head = {
        head: Outcomes.of(rows.labels, softmax(logits, calibration.head_temperature(head)))
        for head, logits in single.items()
    }
    by_head["joint"] = Outcomes.of(rows.labels, calibrated)
    target = calibration.precision_target
    answers = answers_for(calibration, top_k=5)
    metrics = evaluation_metrics(by_head, answers, rows.presence, fields, taxonomy, target, rows.weights)
    metrics["cross_fitted_calibration_error"] = expected_calibration_error(by_head["joint"])
    metrics["lower_promises"] = []
    for lower in (promise for promise in _LOWER_PROMISES if promise < target):
        answers = answers_for(replace(calibration, precision_target=lower), top_k=1)
        found = contract_metrics(rows.labels, answers, taxonomy, lower, rows.weights)
        metrics["lower_promises"].append({name: found[name] for name in _PROMISE_FIGURES})
    return metrics


def _head_weights(
    heads: dict[str, np.ndarray], rows: CalibrationRows, fields: tuple[str, ...]
) -> dict[str, np.ndarray]:
    return {head: head_rows(head, rows.presence, fields).astype(np.float32) for head in heads}
