"""Products per category of a catalog, beside those of an earlier one and those that samplings make of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from labeling.distribution.imbalance import Imbalance
from labeling.distribution.samplings import Sampling, samplings
from labeling.settings import DistributionSettings
from training.encoding.parsed_catalog import parse_catalog


@dataclass(frozen=True)
class CategoryCounts:
    """Products of the categories of one catalog.

    Args:
        products: by path; with the shop's tree also those without products.
        num_left_out: rows without a usable label.
    """

    catalog: Path
    products: dict[str, int]
    num_left_out: int

    @classmethod
    def read(cls, path: Path, options: ReadOptions, taxonomy: Path | None, cache_dir: Path) -> CategoryCounts:
        """Count a catalog.

        Raises:
            AisleError: it cannot be read, or has no usable label.
        """
        statistics = parse_catalog(path, options, cache_dir).statistics
        labels = find_labels(statistics, taxonomy, options.separator)
        products = dict(zip(labels.taxonomy.leaves, labels.class_counts.tolist(), strict=True))
        return cls(path, products, statistics.num_rows - sum(products.values()))


@dataclass(frozen=True, eq=False)
class Distribution:
    """The spread of products over categories.

    Args:
        before: of an earlier catalog; None without one.
    """

    now: CategoryCounts
    before: CategoryCounts | None
    settings: DistributionSettings

    @cached_property
    def categories(self) -> list[str]:
        """All categories, the largest first, those that are gone last."""
        before = self.before.products if self.before else {}
        paths = self.now.products.keys() | before.keys()
        return sorted(paths, key=lambda path: (-self.now.products.get(path, -1), -before.get(path, 0), path))

    @cached_property
    def products(self) -> np.ndarray:
        """(K,) int64 of `categories`; 0 for one that is gone."""
        return np.array([self.now.products.get(path, 0) for path in self.categories], np.int64)

    @cached_property
    def products_before(self) -> np.ndarray:
        """(K,) int64 of `categories`; zeros without an earlier catalog."""
        before = self.before.products if self.before else {}
        return np.array([before.get(path, 0) for path in self.categories], np.int64)

    @cached_property
    def imbalance(self) -> Imbalance:
        """Measures of the catalog."""
        return Imbalance.of(np.array(list(self.now.products.values())), self.settings)

    @cached_property
    def imbalance_before(self) -> Imbalance | None:
        """Measures of the earlier catalog."""
        return Imbalance.of(np.array(list(self.before.products.values())), self.settings) if self.before else None

    @cached_property
    def samplings(self) -> list[Sampling]:
        """The samplings of `products`."""
        return samplings(self.products, self.settings)

    @cached_property
    def num_new(self) -> int:
        """Categories that the earlier catalog has no product of."""
        return int(((self.products > 0) & (self.products_before == 0)).sum())

    @cached_property
    def num_gone(self) -> int:
        """Categories that only the earlier catalog has products of."""
        return int(((self.products == 0) & (self.products_before > 0)).sum())
