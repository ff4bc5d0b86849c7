"""Objectives of a search: figures of the network alone on the validation split.

Linear SVM and neighbours are fitted once a training has ended and gain alike whatever the network is; beside each
trial they would take as long as the trial itself.
"""

from typing import Any, Literal

import keras
import numpy as np

from model.prediction.answers import softmax
from model.taxonomy import Taxonomy
from training.metrics.classification import outcome_metrics
from training.metrics.confidence import coverage_at_precision, risk_coverage
from training.metrics.outcomes import Outcomes
from training.network.batches import CatalogBatches

Objective = Literal["joint_accuracy", "macro_f1", "coverage@0.98"]
OBJECTIVES: tuple[Objective, ...] = ("joint_accuracy", "macro_f1", "coverage@0.98")


def measure_objectives(model: keras.Model, val: CatalogBatches, taxonomy: Taxonomy) -> dict[str, float]:
    """All of OBJECTIVES, 0 to 1, of the network's joint head, without linear SVM and neighbours.

    No temperature is fitted: it moves confidences without changing their order, and so none of the figures much.
    """
    probabilities = softmax(model.predict(val, verbose=0)["joint_logits"], 1.0)
    outcomes = Outcomes.of(np.asarray(val.catalog.arrays["labels"]), probabilities)
    metrics: dict[str, Any] = outcome_metrics(outcomes, taxonomy)
    coverage = coverage_at_precision(risk_coverage(outcomes), 0.98)
    return {
        "joint_accuracy": float(metrics["accuracy"]),
        "macro_f1": float(metrics["macro_f1"]),
        "coverage@0.98": float(coverage or 0.0),
    }
