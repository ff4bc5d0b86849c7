"""Temperature and thresholds where fields are missing: fitted on rows whose fields are hidden."""

import logging
from dataclasses import replace

import numpy as np

from model.prediction.answers import probabilities
from model.prediction.calibration import NEVER, Calibration
from model.prediction.field_subsets import proper_subsets, subset_code, subset_codes
from model.prediction.formula import prior_mass
from model.taxonomy import Taxonomy
from training.ensemble.calibration import fit_temperature
from training.ensemble.calibration_rows import CalibrationSource
from training.ensemble.precision_contract import DepthOutcomes, can_be_shown, fit_thresholds

#: Least temperature of a set beside the default: a few rows that are all right would ask for any number.
_MIN_RATIO = 0.5

_log = logging.getLogger("aisle.ensemble")


def calibrate_subsets(
    calibration: Calibration, source: CalibrationSource, presence: np.ndarray, taxonomy: Taxonomy, min_rows: int = 30
) -> Calibration:
    """The calibration with a temperature and thresholds of its own for each set of given fields.

    The fields that are given change the confidence of network and SVM otherwise than their accuracy, so that one
    temperature does not suit all sets; and a promise kept by products as they come need not be kept by those of them
    that lack a field: these are few, or none, of the rows that `Calibration.thresholds` is fitted on. Where too few
    products have all fields of a set to show the promise, `Calibration.thresholds` alone holds for such products if
    some were among its rows; if not, nothing is accepted.

    Args:
        presence: (N, F) flags of the rows that `Calibration.thresholds` is fitted on.
        min_rows: that the fit of a temperature needs.
    """
    formula = calibration.formula
    seen = set(subset_codes(presence).tolist())
    temperatures: dict[str, float] = {}
    masses: dict[str, float] = {}
    thresholds: dict[str, tuple[float, ...]] = {}
    for kept in proper_subsets(source.fields):
        names, rows = " ".join(kept), source.hidden(kept)
        is_shown = can_be_shown(rows.num_distinct, calibration)
        heads = rows.heads if formula.neighbor_weight else replace(rows.heads, neighbors=None)
        if len(rows) >= min_rows:
            plain = formula.logits(replace(heads, neighbors=None))
            ratio = fit_temperature(plain, rows.labels)
            temperatures[names] = formula.temperature * max(ratio, _MIN_RATIO)
            masses[names] = prior_mass(rows.num_distinct)
        if is_shown:
            own = replace(formula, temperature=temperatures.get(names, formula.temperature))
            mass = np.full((len(rows), 1), masses.get(names, formula.prior_mass), np.float32)
            answers = probabilities(own.logits(heads), mass)
            outcomes = DepthOutcomes.of(answers, rows.labels, taxonomy, rows.weights)
            thresholds[names] = fit_thresholds(outcomes, calibration)
            depths = outcomes.accepted_depths(np.array(thresholds[names], np.float32))
            shares = ", ".join(f"{(depths == depth).mean():.3f}" for depth in range(1, taxonomy.depth + 1))
            _log.info("with %s only: accepted at each depth %s of %d products", names, shares, len(rows))
        elif subset_code(kept, source.fields) not in seen:
            thresholds[names] = (NEVER,) * taxonomy.depth
    found = replace(formula, subset_temperatures=temperatures, subset_prior_masses=masses)
    return replace(calibration, formula=found, subset_thresholds=thresholds)
