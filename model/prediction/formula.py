"""The joint answer: one formula that training, evaluation and serving compute.

    z = (network + penalty) / temperature[given fields] + neighbor_weight * neighbors
    p = (1 - prior_mass[given fields]) * softmax(z) + prior_mass[given fields] / K
    penalty = weight * min(score - cap, slope * (score - cap))                               score of the linear SVM

A sum of logits is a product of experts (Hinton 2002). The penalty lets a support vector machine rule classes out: far
above its margin a score means little, so it counts up to `cap` in full and above it `slope` times. The prior mass keeps
the answer from being surer than the rows behind it: n rows, all of them right, support (n + 1) / (n + 2) (Laplace's
rule of succession), so that a mass of 1 / (n + 2) goes to all K leaves in equal parts. `JointFormula.logits` is z, by
which leaves are ranked; `model.prediction.answers.probabilities` makes p of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class HeadLogits:
    """Logits of the same N rows, (N, K) float32 each, before they are added up.

    Args:
        network: of the network's joint head.
        linear: scores of the linear SVM, or None.
        neighbors: scores of the neighbours, or None.
    """

    network: np.ndarray
    linear: np.ndarray | None = None
    neighbors: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "HeadLogits":
        """Some of the rows, by number or flag."""
        linear, neighbors = (None if logits is None else logits[rows] for logits in (self.linear, self.neighbors))
        return HeadLogits(self.network[rows], linear, neighbors)


@dataclass(frozen=True)
class LinearPenalty:
    """Linear SVM scores as an addend of the network's logits.

    Args:
        weight: factor of the penalty, 0 or more.
        cap: score up to which a class is penalised.
        slope: share of a score above the cap that counts, 0 to 1; with 0 the network decides among such classes.
    """

    weight: float
    cap: float
    slope: float

    def of(self, scores: np.ndarray) -> np.ndarray:
        """(N, K) float32 scores to a new (N, K) float32 array."""
        penalty = scores - np.float32(self.cap)
        np.minimum(penalty, np.float32(self.slope) * penalty, out=penalty)
        penalty *= np.float32(self.weight)
        return penalty


@dataclass(frozen=True)
class JointFormula:
    """Parameters of the joint answer, fitted on the validation catalog; see the module.

    Args:
        penalty: of the linear SVM; None without one.
        neighbor_weight: factor of the neighbours' scores; 0 without them.
        temperature: of network and penalty together (Guo et al. 2017).
        prior_mass: probability spread over all leaves, 0 to below 1.
        subset_temperatures, subset_prior_masses: the same for products that have certain fields only, by the names of
            these fields with blanks between; `temperature` and `prior_mass` hold for all other sets.
    """

    penalty: LinearPenalty | None = None
    neighbor_weight: float = 0.0
    temperature: float = 1.0
    prior_mass: float = 0.0
    subset_temperatures: Mapping[str, float] = field(default_factory=dict)
    subset_prior_masses: Mapping[str, float] = field(default_factory=dict)

    def evidence(self, heads: HeadLogits) -> np.ndarray:
        """Network and penalty, a new (N, K) float32 array: the sum that the temperature divides."""
        if self.penalty is None or heads.linear is None:
            return heads.network.astype(np.float32)
        total = self.penalty.of(heads.linear)
        total += heads.network
        return total

    def logits(self, heads: HeadLogits, temperatures: np.ndarray | None = None) -> np.ndarray:
        """Calibrated joint logits, (N, K) float32; see the module.

        Args:
            temperatures: (N, 1) float32, of each row; None takes `temperature` for all.
        """
        total = self.evidence(heads)
        total /= np.float32(self.temperature) if temperatures is None else temperatures
        if self.neighbor_weight and heads.neighbors is not None:
            total += np.float32(self.neighbor_weight) * heads.neighbors
        return total

    def recalibrated(self, factor: float) -> "JointFormula":
        """The formula whose logits are those of this one divided by `factor`, sets of fields aside."""
        return replace(self, temperature=self.temperature * factor, neighbor_weight=self.neighbor_weight / factor)


def prior_mass(num_rows: float) -> float:
    """The probability that `num_rows` rows, all of them right, leave to the other answers; Laplace's rule."""
    return 1 / (num_rows + 2)
