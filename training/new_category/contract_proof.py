"""The precision contract of a changed model: proven anew on labelled products, for old thresholds need not hold."""

from dataclasses import replace
from typing import Any

import numpy as np

from catalog.labels import LabelSpace
from catalog.rejects import Rejects
from model.prediction.answers import answer, softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds
from model.predictor import Predictor
from training.ensemble.formula_fitting import random_folds
from training.ensemble.precision_contract import DepthOutcomes, cross_fitted_thresholds, fit_thresholds
from training.evaluation.cross_fitting import LogitSample
from training.evaluation.labelled_answers import labelled_answers
from training.metrics.contract import contract_metrics
from training.predict.answered_catalog import CatalogSource


def prove_contract(predictor: Predictor, catalog: CatalogSource) -> tuple[Calibration, dict[str, Any]]:
    """Fit the thresholds anew, never below the old ones, and measure them.

    Args:
        predictor: of the changed model, with the old thresholds.
        catalog: labelled products; where they are too few to show the promise at a depth, nothing is accepted there.
    Returns:
        the calibration with the new thresholds, and `contract_metrics`, cross-fitted.
    """
    bundle = predictor.bundle
    calibration, taxonomy = bundle.calibration, bundle.taxonomy
    old = SubsetThresholds(calibration, bundle.fields)
    sample = LogitSample(taxonomy.num_leaves, taxonomy.depth)
    labels = LabelSpace(taxonomy, "the bundle's tree")
    with Rejects(None) as rejects:
        for chunk, classes in labelled_answers(predictor, catalog, labels, rejects, top_k=1):
            sample.add(chunk.outputs["joint_logits"], classes, old.of_rows(chunk.features["presence"]))
    logits, classes, floors = sample.rows()
    outcomes = DepthOutcomes.of(softmax(logits), classes, taxonomy, unproven=calibration.unproven)
    found = fit_thresholds(outcomes, calibration, floors)
    thresholds = tuple(float(max(pair)) for pair in zip(found, calibration.thresholds, strict=True))
    depths = outcomes.accepted_depths(np.maximum(floors, np.array(found, np.float32)))
    coverages = tuple(float((depths == depth).mean()) for depth in range(1, taxonomy.depth + 1))
    proven = replace(calibration, thresholds=thresholds, coverages=coverages)
    cross_fitted = cross_fitted_thresholds(outcomes, proven, random_folds(len(classes), seed=0), floors)
    answers = answer(logits, taxonomy, proven, cross_fitted, top_k=1)
    return proven, contract_metrics(classes, answers, taxonomy, proven.precision_target)
