"""A trained network is completed by the linear head, calibrated, and measured on the validation split."""

import logging
from dataclasses import dataclass

import keras
import numpy as np

from model.answer import Calibration, answer, softmax
from model.classifier import field_positions
from model.linear_head import add_linear_head
from model.settings import Settings
from training.batches import CatalogBatches
from training.calibrate import calibrate
from training.confidence import expected_calibration_error
from training.expert_weights import cross_fitted_logits, fit_expert_weights
from training.linear_svm import fit_linear_head, linear_scores
from training.metrics import evaluation_metrics
from training.outcomes import Outcomes
from training.preparation import Prepared

_log = logging.getLogger("aisle.linear")


@dataclass(frozen=True)
class Judgement:
    """A classifier, whole, and what the validation split says of it.

    Args:
        classifier: with the linear head, where there is one.
        heads: the classifier's, "joint" last.
        metrics: as of `training.metrics.evaluation_metrics`, and "cross_fitted_calibration_error": of
            probabilities that were calibrated on other rows than they are measured on.
    """

    classifier: keras.Model
    heads: tuple[str, ...]
    calibration: Calibration
    metrics: dict


def judge(
    trained: keras.Model, classifier: keras.Model, prepared: Prepared, val: CatalogBatches, settings: Settings
) -> Judgement:
    """Complete, calibrate and measure.

    Args:
        trained: from the batches' inputs to head logits.
        classifier: the program inside it, as `build_classifier` made it.
    """
    shape, seed = prepared.shape, settings.training.seed
    logits = {name.removesuffix("_logits"): values for name, values in trained.predict(val, verbose=0).items()}
    labels = np.asarray(val.catalog.arrays["labels"])
    network, scores = logits["joint"], None
    buckets = prepared.tokenizer.settings.hash_buckets
    linear = fit_linear_head(prepared.train, shape.fields, prepared.labels.taxonomy, buckets, settings.linear, seed)
    if linear is not None:
        scores = linear_scores(linear, val.catalog)
        vote = fit_expert_weights(network, scores, labels, seed).vote
        assert vote is not None
        told = "linear head: its scores count %.3g times beside the network's, above %.2f %.1f of that"
        _log.info(told, vote.weight, vote.cap, vote.slope)
        classifier = add_linear_head(classifier, shape, linear, vote)
        del logits["joint"]  # comes last
        logits |= {"linear": scores, "joint": network + vote.of(scores)}
    calibration, metrics = _measure(logits, prepared, val, settings)
    unseen = Outcomes.of(labels, softmax(cross_fitted_logits(network, scores, labels, seed)))
    metrics["cross_fitted_calibration_error"] = expected_calibration_error(unseen)
    return Judgement(classifier, tuple(logits), calibration, metrics)


def _measure(
    logits: dict[str, np.ndarray], prepared: Prepared, val: CatalogBatches, settings: Settings
) -> tuple[Calibration, dict]:
    shape, taxonomy = prepared.shape, prepared.labels.taxonomy
    labels = np.asarray(val.catalog.arrays["labels"])
    presence = np.asarray(val.catalog.arrays["presence"])
    weights = {head: val.head_weight(presence, head) for head in logits}
    calibration = calibrate(logits, labels, weights, taxonomy, settings.training)
    temperatures = {**calibration.head_temperatures, "joint": calibration.temperature}
    outcomes = {head: Outcomes.of(labels, softmax(values, temperatures[head])) for head, values in logits.items()}
    answers = answer(logits["joint"], taxonomy, calibration, top_k=5)
    flags = presence[:, field_positions(shape.fields)]
    return calibration, evaluation_metrics(outcomes, answers, flags, shape.fields, taxonomy)
