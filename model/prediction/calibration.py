"""Parameters fitted on rows that the model did not learn from: the joint formula and the contract's thresholds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.prediction.formula import JointFormula, LinearPenalty

#: Threshold above every probability: nothing is accepted at that depth.
NEVER = 2.0


@dataclass(frozen=True)
class Calibration:
    """Everything that turns head logits into probabilities and accepted answers; calibration.json of a bundle.

    Args:
        formula: of the joint answer.
        head_temperatures: divisor of each single head's logits before the softmax (Guo et al. 2017).
        precision_target, precision_confidence: the promise behind `thresholds`.
        thresholds: per depth 1..D the least node probability that is accepted; above 1 means never.
        coverages: per depth the share of calibration rows handed out there, their deepest accepted node.
        subset_thresholds: the same as `thresholds` for products that have certain fields only, by the names of these
            fields with blanks between; such a product has to reach both.
        unproven: leaves that were added later; the thresholds were fitted without them, so neither they nor nodes
            above them are accepted.
    """

    formula: JointFormula = field(default_factory=JointFormula)
    head_temperatures: Mapping[str, float] = field(default_factory=dict)
    precision_target: float = 0.98
    precision_confidence: float = 0.95
    thresholds: tuple[float, ...] = ()
    coverages: tuple[float, ...] = ()
    subset_thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unproven: tuple[str, ...] = ()

    def head_temperature(self, head: str) -> float:
        """Divisor of a head's logits; 1 for "joint", whose logits the formula has calibrated."""
        return self.head_temperatures.get(head, 1.0)

    def deepened(self, depth: int) -> "Calibration":
        """The calibration for a tree of this depth or the same, whose further levels nothing was fitted on.

        Nothing is accepted there: a leaf above stands for itself in them, and is accepted at the depth it was before.
        """
        further = depth - len(self.thresholds)
        return dataclasses.replace(
            self,
            thresholds=(*self.thresholds, *[NEVER] * further),
            coverages=(*self.coverages, *[0.0] * further),
            subset_thresholds={
                names: (*thresholds, *[NEVER] * further) for names, thresholds in self.subset_thresholds.items()
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """Undo `to_dict`.

        Raises:
            KeyError, TypeError: a value is missing or unknown.
        """
        formula = dict(values["formula"])
        formula["penalty"] = LinearPenalty(**formula["penalty"]) if formula["penalty"] else None
        subsets = {names: tuple(thresholds) for names, thresholds in values["subset_thresholds"].items()}
        tuples = {name: tuple(values[name]) for name in ("thresholds", "coverages", "unproven")}
        return cls(**{**values, **tuples, "formula": JointFormula(**formula), "subset_thresholds": subsets})
