"""Temperature and thresholds where fields are missing: fitted on validation products whose fields are hidden."""

import logging
from dataclasses import replace

import numpy as np

from model.network.classifier import field_positions
from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import proper_subsets, subset_code, subset_codes
from model.taxonomy import Taxonomy
from training.ensemble.calibration import NEVER, can_be_shown, depth_thresholds, fit_temperature
from training.ensemble.hidden_fields import HiddenFields

#: Least temperature of a set beside the default: a few rows that are all right would ask for any number.
_MIN_RATIO = 0.5

_log = logging.getLogger("aisle.ensemble")


def calibrate_subsets(
    calibration: Calibration, hidden: HiddenFields, taxonomy: Taxonomy, min_rows: int = 30
) -> Calibration:
    """The calibration with a temperature and thresholds of its own for each set of given fields.

    The fields that are given change the confidence of network and SVM otherwise than their accuracy, so that one
    temperature does not suit all sets; and a promise kept by products as they come need not be kept by those of them
    that lack a field: these are few, or none, of the rows that `Calibration.thresholds` is fitted on. Where too few
    products have all fields of a set to show the promise, `Calibration.thresholds` alone holds for such products if
    some were among its rows; if not, nothing is accepted.

    Args:
        min_rows: that the fit of a temperature needs.
    """
    presence = hidden.val.catalog.arrays["presence"][:, field_positions(hidden.fields)]
    seen = set(subset_codes(presence).tolist())
    temperatures: dict[str, float] = {}
    thresholds: dict[str, tuple[float, ...]] = {}
    for kept in proper_subsets(hidden.fields):
        names, catalog = " ".join(kept), hidden.catalog(kept)
        is_shown = can_be_shown(len(catalog), calibration)
        if len(catalog) >= min_rows or is_shown:
            heads, labels = hidden.heads(catalog), np.asarray(catalog.arrays["labels"])
            if len(catalog) >= min_rows:
                ratio = fit_temperature(calibration.formula.logits(replace(heads, neighbors=None)), labels)
                temperatures[names] = calibration.formula.temperature * max(ratio, _MIN_RATIO)
        if is_shown:
            probabilities = softmax(calibration.formula.logits(heads, temperatures.get(names)))
            thresholds[names], coverages = depth_thresholds(probabilities, labels, taxonomy, calibration)
            accepted = ", ".join(f"{coverage:.3f}" for coverage in coverages)
            _log.info("with %s only: accepted at each depth %s of %d products", names, accepted, len(catalog))
        elif subset_code(kept, hidden.fields) not in seen:
            thresholds[names] = (NEVER,) * taxonomy.depth
    formula = replace(calibration.formula, subset_temperatures=temperatures)
    return replace(calibration, formula=formula, subset_thresholds=thresholds)
