"""The precision contract where fields are missing: fitted on validation products whose fields are hidden."""

import logging
from dataclasses import replace

import numpy as np

from model.network.classifier import field_positions
from model.prediction.answers import Calibration, softmax
from model.prediction.field_subsets import SubsetThresholds, proper_subsets, subset_code, subset_codes
from model.taxonomy import Taxonomy
from training.ensemble.calibration import NEVER, depth_outcomes, depth_thresholds, may_be_shown
from training.ensemble.ensemble_weights import ExpertWeights
from training.ensemble.hidden_fields import HiddenFields

_log = logging.getLogger("aisle.train")


def with_subset_thresholds(
    calibration: Calibration,
    joint_logits: np.ndarray,
    hidden: HiddenFields,
    weights: ExpertWeights,
    sharpness: np.ndarray,
    taxonomy: Taxonomy,
) -> Calibration:
    """The calibration with thresholds of its own for each set of given fields, and with the coverages that are left.

    What holds for products as they come need not hold for those of them that lack a field: these are few, or none, of
    the rows that `Calibration.thresholds` was fitted on. Where too few products have all fields of a set to show the
    promise, `Calibration.thresholds` is all that such products have to reach, if they were among its rows; if not,
    nothing is accepted.

    Args:
        joint_logits: (N, K) float32 of the validation rows.
        sharpness: (2 ** F,) float32 by `model.prediction.field_subsets.subset_code`.
    """
    presence = hidden.val.catalog.arrays["presence"][:, field_positions(hidden.fields)]
    seen = set(subset_codes(presence).tolist())
    found: dict[str, tuple[float, ...]] = {}
    for kept in proper_subsets(hidden.fields):
        catalog, code = hidden.catalog(kept), subset_code(kept, hidden.fields)
        if may_be_shown(len(catalog), calibration):
            logits = weights.logits(hidden.experts(catalog), float(sharpness[code]))
            probabilities, labels = softmax(logits, calibration.temperature), np.asarray(catalog.arrays["labels"])
            thresholds, coverages = depth_thresholds(probabilities, labels, taxonomy, calibration)
            told = ", ".join(f"{coverage:.3f}" for coverage in coverages)
            _log.info("with %s only: accepted at each depth %s of %d products", ", ".join(kept), told, len(catalog))
            found[" ".join(kept)] = thresholds
        elif code not in seen:
            found[" ".join(kept)] = (NEVER,) * taxonomy.depth
    completed = replace(calibration, subset_thresholds=found)
    least = SubsetThresholds(completed, hidden.fields).of_rows(presence)
    labels = np.asarray(hidden.val.catalog.arrays["labels"])
    depths = depth_outcomes(softmax(joint_logits, calibration.temperature), labels, taxonomy)
    coverages = tuple(float((confidences >= least[:, i]).mean()) for i, (confidences, _) in enumerate(depths))
    return replace(completed, coverages=coverages)
