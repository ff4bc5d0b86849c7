"""The precision contract of a changed model: proven anew on labelled products, for old thresholds need not hold."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catalog.labels.label_space import LabelSpace
from catalog.rejects import Rejects
from model.prediction.answers import answer, probabilities
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds
from model.predictor import Predictor
from training.ensemble.formula_fitting import group_folds
from training.ensemble.precision_contract import DepthOutcomes, cross_fitted_thresholds, fit_thresholds
from training.evaluation.cross_fitting import LogitSample, SampledRows
from training.evaluation.labelled_answers import labelled_answers
from training.metrics.classification import field_combination_metrics
from training.metrics.contract import contract_metrics
from training.metrics.outcomes import Outcomes
from training.predict.answered_catalog import CatalogSource
from training.splitting.near_duplicates import comparable_text, text_groups


@dataclass(frozen=True)
class ContractProof:
    """Calibration of a changed model, proven, and its figures.

    Args:
        calibration: with the new thresholds.
        contract: `contract_metrics`, cross-fitted.
        field_combinations: `field_combination_metrics`, cross-fitted.
    """

    calibration: Calibration
    contract: dict[str, Any]
    field_combinations: list[dict[str, Any]]


def prove_contract(predictor: Predictor, catalog: CatalogSource) -> ContractProof:
    """Fit the thresholds anew, never below the old ones, and measure them.

    Args:
        predictor: of the changed model, with the old thresholds.
        catalog: labelled products; where they are too few to show the promise at a depth, nothing is accepted there.
    """
    calibration, taxonomy = predictor.bundle.calibration, predictor.bundle.taxonomy
    rows, presence = _labelled_rows(predictor, catalog)
    calibrated = probabilities(rows.logits, rows.prior_masses)
    outcomes = DepthOutcomes.of(calibrated, rows.labels, taxonomy, rows.weights, calibration.unproven)
    found = fit_thresholds(outcomes, calibration, rows.floors)
    depths = outcomes.accepted_depths(np.maximum(rows.floors, np.array(found, np.float32)))
    proven = replace(
        calibration,
        thresholds=tuple(float(max(pair)) for pair in zip(found, calibration.thresholds, strict=True)),
        coverages=tuple(float((depths == depth).mean()) for depth in range(1, taxonomy.depth + 1)),
    )
    thresholds = cross_fitted_thresholds(outcomes, proven, group_folds(rows.groups, seed=0), rows.floors)
    answers = answer(rows.logits, rows.prior_masses, taxonomy, proven, thresholds, top_k=1)
    target = proven.precision_target
    return ContractProof(
        proven,
        contract_metrics(rows.labels, answers, taxonomy, target, rows.weights),
        field_combination_metrics(
            Outcomes.of(rows.labels, calibrated),
            answers,
            presence,
            predictor.bundle.fields,
            taxonomy,
            target,
            rows.weights,
        ),
    )


def _labelled_rows(predictor: Predictor, catalog: CatalogSource) -> tuple[SampledRows, np.ndarray]:
    """A sample of the labelled rows, and (M, F) flags of their fields."""
    bundle = predictor.bundle
    taxonomy = bundle.taxonomy
    old, labels = SubsetThresholds(bundle.calibration, bundle.fields), LabelSpace(taxonomy, "the bundle's tree")
    sample = LogitSample(taxonomy.num_leaves, taxonomy.depth)
    texts: list[str] = []
    parts: list[np.ndarray] = []
    with Rejects(None) as rejects:
        for chunk, classes in labelled_answers(predictor, catalog, labels, rejects, top_k=1):
            presence = chunk.features["presence"]
            logits, masses = chunk.outputs["joint_logits"], predictor.prior_masses(presence)
            sample.add(logits, masses, classes, old.of_rows(presence))
            texts += map(comparable_text, chunk.rows)
            parts.append(presence)
    rows = sample.rows(text_groups(texts))
    return rows, np.concatenate(parts)[rows.numbers]
