"""Offers that are compared with each other, and the groups of a catalog in parts."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import CatalogError
from retrieval.index.record import Attributes
from retrieval.matching.offers.offer_table import OfferTable


@dataclass(frozen=True)
class Pool:
    """Offers that are compared with each other.

    Args:
        groups: (N,) int64, equal for offers of the same product, 0 or more.
    """

    product_ids: list[str]
    offers: list[Attributes]
    groups: np.ndarray

    @property
    def num_groups(self) -> int:
        """Number of products that the offers are of."""
        return len(np.unique(self.groups))

    @property
    def names(self) -> list[str]:
        """Names of the offers, as sellers write them."""
        return [offer.product_name for offer in self.offers]


def grouped_offers(product_ids: Sequence[str], offers: Sequence[Attributes], least_groups: int) -> Pool:
    """Take the offers whose group is known; each is compared with every other, whatever its source.

    Args:
        least_groups: groups of two offers or more that are needed.
    Raises:
        CatalogError: there are fewer.
    """
    kept = [position for position, offer in enumerate(offers) if offer.group_id]
    _, groups = np.unique([offers[position].group_id for position in kept], return_inverse=True)
    num_groups = int((np.bincount(groups.astype(np.int64)) > 1).sum())
    if num_groups < least_groups:
        raise CatalogError(
            f"expected {least_groups} or more groups of two offers or more in the column group_id, found {num_groups};"
            " say which offers are the same product (--columns group_id=HEADING)"
        )
    plain = [dataclasses.replace(offers[position], source="") for position in kept]
    return Pool([product_ids[position] for position in kept], plain, groups.astype(np.int64))


def split_by_group(pool: Pool, num_parts: int, seed: int) -> list[Pool]:
    """Deal the groups of a pool out to parts, those with several offers and those with one equally."""
    random = np.random.default_rng(seed)
    counts = np.bincount(pool.groups)
    parts = np.zeros(len(counts), np.int64)
    for chosen in (np.flatnonzero(counts > 1), np.flatnonzero(counts == 1)):
        parts[random.permutation(chosen)] = np.arange(len(chosen)) % num_parts
    return [_chosen(pool, np.flatnonzero(parts[pool.groups] == part)) for part in range(num_parts)]


def joined(pools: Sequence[Pool]) -> Pool:
    """Put parts of one pool together."""
    ids = [product_id for pool in pools for product_id in pool.product_ids]
    offers = [offer for pool in pools for offer in pool.offers]
    return Pool(ids, offers, np.concatenate([pool.groups for pool in pools]))


def table_of(pool: Pool, pictures: np.ndarray | None) -> OfferTable:
    """Make the table that a matcher reads.

    Args:
        pictures: (N, D) float32, see `OfferTable`.
    """
    return OfferTable(pool.product_ids, pool.offers, None if pictures is None else {"image": pictures})


def _chosen(pool: Pool, positions: np.ndarray) -> Pool:
    ids = [pool.product_ids[position] for position in positions]
    return Pool(ids, [pool.offers[position] for position in positions], pool.groups[positions])
