"""Rows of each category in an epoch of training under the samplings that `training train --sampling` knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.settings import DistributionSettings


@dataclass(frozen=True, eq=False)
class Sampling:
    """One sampling of K categories.

    Args:
        name: as `training train` names it.
        words: what it does.
        rows: (K,) float, rows of each category in an epoch; 0 for a category without products.
    """

    name: str
    words: str
    rows: np.ndarray

    def most_repeats(self, products: np.ndarray) -> float:
        """How often an epoch has each row of the category that it repeats most; 1 is once."""
        is_filled = products > 0
        return float((self.rows[is_filled] / products[is_filled]).max())


def samplings(products: np.ndarray, settings: DistributionSettings) -> list[Sampling]:
    """The samplings of (K,) int products, one category or more with some.

    cap: at most so many rows of a category; sqrt: shares that grow with the square root (Mahajan et al. 2018);
    temperature: with another root (Arivazhagan et al. 2019). The last two keep the epoch's size.
    """
    cap = settings.sampling_cap or max(int(np.median(products[products > 0])), 1)
    temperature = settings.sampling_temperature
    return [
        Sampling("cap", f"at most {cap:,} rows of a category", np.minimum(products, cap).astype(np.float64)),
        Sampling("sqrt", "shares grow with the square root", _by_root(products, 2.0)),
        Sampling("temperature", f"shares grow with the root of order {temperature:g}", _by_root(products, temperature)),
    ]


def _by_root(products: np.ndarray, temperature: float) -> np.ndarray:
    weights = np.where(products > 0, products.astype(np.float64) ** (1 / temperature), 0.0)
    return np.asarray(weights * (products.sum() / weights.sum()))
