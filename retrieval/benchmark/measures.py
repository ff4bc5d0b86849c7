"""Measures of found products, by query and by rank: is it the same product, the same category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.taxonomy import SEPARATOR


@dataclass(frozen=True)
class RankedHits:
    """Hits of Q queries, K ranks each; ranks beyond the last hit are False everywhere.

    Args:
        is_hit: (Q, K) bool.
        is_same_product: (Q, K) bool.
        is_same_category: by depth from 1, (Q, K) bool: hits whose category equals the query's down to that depth.
        num_same_products: (Q,) int, products of the index that are the same; 0 where nothing is known of the query's.
        num_depths: (Q,) int, levels of each query's category; 0 without one.
    """

    is_hit: np.ndarray
    is_same_product: np.ndarray
    is_same_category: dict[int, np.ndarray]
    num_same_products: np.ndarray
    num_depths: np.ndarray


def same_depths(asked: str, found: str) -> int:
    """Levels from the top that two category paths share."""
    depth = 0
    for left, right in zip(asked.split(SEPARATOR), found.split(SEPARATOR), strict=False):
        if left != right or not left:
            break
        depth += 1
    return depth


def query_measures(hits: RankedHits, at: Sequence[int]) -> dict[str, np.ndarray]:
    """Measures of each query by name, (Q,) float64; NaN for a query that one cannot be taken of.

    For each k of `at`: got_results@k, share of k hits that came; same_product@k, share of the first k that are the same
    product; accuracy@k, whether any of them is; recall@k, share of all the same products that are among them;
    same_category@k, share of the first k with the query's category, and same_category_depth_D@k down to depth D.
    mean_average_precision: over the deepest k, of precision at the rank of each same product (Voorhees 2000).
    """
    found: dict[str, np.ndarray] = {}
    known = hits.num_same_products > 0
    has_category = hits.num_depths > 0
    deepest = np.zeros_like(hits.is_hit)
    for depth, same in hits.is_same_category.items():
        rows = hits.num_depths == depth
        deepest[rows] = same[rows]
    for k in at:
        same = hits.is_same_product[:, :k]
        found[f"got_results@{k}"] = hits.is_hit[:, :k].mean(axis=1)
        found[f"same_product@{k}"] = np.where(known, same.mean(axis=1), np.nan)
        found[f"accuracy@{k}"] = np.where(known, same.any(axis=1), np.nan)
        found[f"recall@{k}"] = np.where(known, same.sum(axis=1) / np.maximum(hits.num_same_products, 1), np.nan)
        found[f"same_category@{k}"] = np.where(has_category, deepest[:, :k].mean(axis=1), np.nan)
        for depth, found_same in hits.is_same_category.items():
            has_depth = hits.num_depths >= depth
            value = found_same[:, :k].mean(axis=1)
            found[f"same_category_depth_{depth}@{k}"] = np.where(has_depth, value, np.nan)
    found["mean_average_precision"] = np.where(known, _average_precision(hits), np.nan)
    return found


def means(measures: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean of each measure over the queries that it can be taken of; left out where there is none."""
    return {name: float(np.nanmean(values)) for name, values in measures.items() if not np.isnan(values).all()}


def paired_interval(
    values: np.ndarray, others: np.ndarray, num_resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean difference of two measures of the same queries with its 95 % interval by paired bootstrap (Efron 1979)."""
    differences = (values - others)[~np.isnan(values) & ~np.isnan(others)]
    if not len(differences):
        return (np.nan, np.nan, np.nan)
    random = np.random.default_rng(seed)
    resampled = [
        differences[random.integers(0, len(differences), len(differences))].mean() for _ in range(num_resamples)
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def _average_precision(hits: RankedHits) -> np.ndarray:
    same = hits.is_same_product
    ranks = np.arange(1, same.shape[1] + 1)
    precision = np.cumsum(same, axis=1) / ranks
    return (precision * same).sum(axis=1) / np.clip(hits.num_same_products, 1, same.shape[1])
