"""The objectives of a search: metrics of the network alone on the validation catalog.

Linear SVM and neighbours are left out: they are fitted once after training, improve any network about equally, and
would take as long as the trial itself.
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
    """Measure all OBJECTIVES, 0 to 1, with the network's joint head, without linear SVM and neighbours.

    No temperature is fitted, because it hardly changes the order of confidences and so these metrics.
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
