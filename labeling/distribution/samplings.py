"""Rows of each category in an epoch of training under the samplings that `training train --sampling` knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.settings import DistributionSettings
from model.settings import SamplingName, SamplingSettings
from training.sampling.row_draw import default_cap, rows_of_categories


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
        """The times that an epoch has each row of the category that it repeats most; 1 is once."""
        is_filled = products > 0
        return float((self.rows[is_filled] / products[is_filled]).max())


def samplings(products: np.ndarray, settings: DistributionSettings) -> list[Sampling]:
    """The samplings of (K,) int products, one category or more with some; see `rows_of_categories`."""
    cap = settings.sampling_cap or default_cap(products)
    temperature = settings.sampling_temperature
    words: dict[SamplingName, str] = {
        "cap": f"at most {cap:,} rows of a category",
        "sqrt": "shares grow with the square root",
        "temperature": f"shares grow with the root of order {temperature:g}",
    }
    return [
        Sampling(name, text, rows_of_categories(products, SamplingSettings(name, cap, temperature)))
        for name, text in words.items()
    ]
