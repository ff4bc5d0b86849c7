"""Sets of given fields: their numbers, and values that differ from set to set."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula


def subset_code(given: Sequence[str], fields: Sequence[str]) -> int:
    """Number of a set of given fields, 0 to 2 ** F - 1: the sum of 2 ** position."""
    return sum(1 << fields.index(field) for field in given)


def subset_codes(presence: np.ndarray) -> np.ndarray:
    """(N,) int64 `subset_code` of rows.

    Args:
        presence: (N, F) flags of the model's fields.
    """
    return presence.astype(np.int64) @ (1 << np.arange(presence.shape[1]))


def proper_subsets(fields: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All sets of one field or more that lack at least one, in the order of the fields."""
    for count in range(1, len(fields)):
        yield from combinations(fields, count)


class SubsetValues:
    """A number for each set of given fields.

    Args:
        default: of all sets that `by_names` does not name.
        by_names: numbers by the names of the fields with blanks between.
        fields: of the model, in its order.
    """

    def __init__(self, default: float, by_names: Mapping[str, float], fields: Sequence[str]):
        #: (2 ** F, 1) float32 by `subset_code`.
        self._by_code = np.full((2 ** len(fields), 1), default, np.float32)
        for names, value in by_names.items():
            self._by_code[subset_code(names.split(), fields)] = value

    def of_rows(self, presence: np.ndarray) -> np.ndarray:
        """(N, 1) float32, the number of each row from (N, F) flags of the model's fields."""
        return np.asarray(self._by_code[subset_codes(presence)])


def temperature_values(formula: JointFormula, fields: Sequence[str]) -> SubsetValues:
    """The temperatures of the joint formula."""
    return SubsetValues(formula.temperature, formula.subset_temperatures, fields)


def prior_mass_values(formula: JointFormula, fields: Sequence[str]) -> SubsetValues:
    """The prior masses of the joint formula."""
    return SubsetValues(formula.prior_mass, formula.subset_prior_masses, fields)


class SubsetThresholds:
    """The thresholds of the precision contract for each set of given fields.

    Args:
        calibration: whose `subset_thresholds` are named with these fields.
        fields: of the model, in its order.
    """

    def __init__(self, calibration: Calibration, fields: Sequence[str]):
        #: (2 ** F, D) float32 by `subset_code`.
        self._by_code = np.tile(np.asarray(calibration.thresholds, np.float32), (2 ** len(fields), 1))
        for names, thresholds in calibration.subset_thresholds.items():
            row = self._by_code[subset_code(names.split(), fields)]
            np.maximum(row, np.asarray(thresholds, np.float32), out=row)

    def of_rows(self, presence: np.ndarray) -> np.ndarray:
        """(N, D) float32, the least node probability at each depth for each row; above 1 means never.

        Args:
            presence: (N, F) flags of the model's fields.
        """
        return np.asarray(self._by_code[subset_codes(presence)])
