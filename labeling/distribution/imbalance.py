"""Measures of how unequally products are spread over categories."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from labeling.settings import DistributionSettings

Part = Literal["head", "middle", "tail", "empty"]
PARTS: tuple[Part, ...] = ("head", "middle", "tail", "empty")


@dataclass(frozen=True)
class PartSize:
    """Categories of one part, and their products."""

    categories: int
    products: int


@dataclass(frozen=True)
class Imbalance:
    """Measures of K categories; categories without products count in `parts` alone.

    Args:
        gini: Gini coefficient (1912) of the categories' products, 0 where all have as many, near 1 where one has all.
        evenness: entropy of the shares over its maximum (Pielou 1966), 1 where all have as many.
        effective_categories: as many equally large ones would have the same entropy (Hill 1973).
        imbalance_factor: products of the largest category over those of the smallest (Cui et al. 2019).
        half_categories: the fewest categories that hold half of all products.
        parts: head, middle and tail as in Liu et al. 2019 (many, medium and few shots), and empty ones.
    """

    num_products: int
    num_categories: int
    largest: int
    median: float
    smallest: int
    gini: float
    evenness: float
    effective_categories: float
    imbalance_factor: float
    half_categories: int
    parts: dict[Part, PartSize]

    @classmethod
    def of(cls, products: np.ndarray, settings: DistributionSettings) -> Imbalance:
        """Measure (K,) int products of each category, one of them or more above 0."""
        sizes = np.sort(products[products > 0]).astype(np.float64)
        total, count = sizes.sum(), len(sizes)
        shares = sizes / total
        entropy = float(-(shares * np.log(shares)).sum())
        part_of = parts_of(products, settings)
        return cls(
            num_products=int(total),
            num_categories=count,
            largest=int(sizes[-1]),
            median=float(np.median(sizes)),
            smallest=int(sizes[0]),
            gini=gini(sizes),
            evenness=entropy / float(np.log(count)) if count > 1 else 1.0,
            effective_categories=float(np.exp(entropy)),
            imbalance_factor=float(sizes[-1] / sizes[0]),
            half_categories=int(np.searchsorted(np.cumsum(sizes[::-1]), total / 2)) + 1,
            parts={
                part: PartSize(int((part_of == part).sum()), int(products[part_of == part].sum())) for part in PARTS
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def gini(sizes: np.ndarray) -> float:
    """Gini coefficient, half the relative mean difference of two categories.

    Args:
        sizes: (K,) ascending, above 0.
    """
    count = len(sizes)
    ranks = np.arange(1, count + 1)
    return float((2 * ranks - count - 1) @ sizes / (count * sizes.sum()))


def parts_of(products: np.ndarray, settings: DistributionSettings) -> np.ndarray:
    """(K,) str, the part of each category: of (K,) int products."""
    conditions = [products > settings.head_products, products >= settings.tail_products, products > 0]
    return np.select(conditions, ["head", "middle", "tail"], "empty")
