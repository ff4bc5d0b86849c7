"""How sure answers may be where fields are missing: fitted on validation products whose fields are hidden."""

import logging
from dataclasses import replace

import numpy as np

from model.prediction.field_subsets import proper_subsets, subset_code
from training.ensemble.calibration import fit_temperature
from training.ensemble.ensemble_weights import ExpertWeights
from training.ensemble.hidden_fields import HiddenFields

#: Rows that a fit of one number needs.
_LEAST_ROWS = 30
#: How much surer answers may become: a few rows that are all right would ask for any number.
_MOST = 2.0

_log = logging.getLogger("aisle.train")


def fit_subset_sharpness(hidden: HiddenFields, weights: ExpertWeights) -> np.ndarray:
    """What the joint logits count for each set of given fields, so that one temperature suits them all.

    Which fields are given changes how sure a network and a linear head are otherwise than how often they are right.
    Neighbours vote beside what is fitted here.

    Returns:
        (2 ** F,) float32 up to 2 by `field_subsets.subset_code`; 1 of all fields, of none, and of few rows.
    """
    found = np.ones(2 ** len(hidden.fields), np.float32)
    for kept in proper_subsets(hidden.fields):
        catalog = hidden.catalog(kept)
        if len(catalog) < _LEAST_ROWS:
            continue
        experts = replace(hidden.experts(catalog), neighbors=None)
        temperature = fit_temperature(weights.calibrated(experts), np.asarray(catalog.arrays["labels"]))
        found[subset_code(kept, hidden.fields)] = min(1 / temperature, _MOST)
        _log.info("with %s only: temperature %.3g times that of others", ", ".join(kept), temperature)
    return found
