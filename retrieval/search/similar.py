"""Products like one: the nearest, an item once, without the same product and spread out where that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import SettingsError, VectorIndexError
from retrieval.index.engine import NO_FILTER, IndexEngine
from retrieval.index.filter import ProductFilter
from retrieval.index.record import SPACES, Hit, IndexRecord, Space

MAX_K = 1000
#: Hits from which diverse ones are chosen, as a multiple of those wanted.
_POOL_FACTOR = 5
_LEAST_POOL = 50


@dataclass(frozen=True)
class SimilarOptions:
    """Options of a search.

    Args:
        k: hits, 1 to MAX_K.
        condition: that every hit meets.
        exclude_same_product: leave out hits with the group_id of the product that is asked about.
        diversity: 0 takes the nearest; towards 1 hits are chosen that are less like each other (maximal marginal
            relevance, Carbonell and Goldstein 1998).
    Raises:
        SettingsError: a value is out of range.
    """

    k: int = 10
    condition: ProductFilter = NO_FILTER
    exclude_same_product: bool = False
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise SettingsError(f"k: expected 1 to {MAX_K:,}, found {self.k:,}")
        if not 0 <= self.diversity < 1:
            raise SettingsError(f"diversity: expected 0 to below 1, found {self.diversity}")


@dataclass(frozen=True)
class AskedProduct:
    """The product that is asked about, as far as hits are left out because of it.

    Args:
        product_id: never a hit; '' for a product from outside.
        item_id, group_id: see `Attributes`; '' is unknown.
    """

    product_id: str = ""
    item_id: str = ""
    group_id: str = ""

    @classmethod
    def of(cls, record: IndexRecord) -> "AskedProduct":
        """A product of the index."""
        return cls(record.product_id, record.attributes.item_id, record.attributes.group_id)


def similar(
    engine: IndexEngine, space: Space, vectors: np.ndarray, asked: Sequence[AskedProduct], options: SimilarOptions
) -> list[list[Hit]]:
    """Products like each of Q, best first.

    Args:
        vectors: (Q, D) float32 of unit length.
        asked: the products that they belong to.
    Returns:
        up to k hits each; fewer where the index has no more.
    Raises:
        VectorIndexError: the index has no such space, or its database cannot be reached.
    """
    wanted = options.k if not options.diversity else max(options.k * _POOL_FACTOR, _LEAST_POOL)
    found: dict[int, list[Hit]] = {}
    left, count = list(range(len(asked))), wanted + 2
    while left:
        hits = engine.search(space, vectors[left], count, options.condition)
        unfinished = []
        for query, nearest in zip(left, hits, strict=True):
            found[query] = _left_over(nearest, asked[query], options)[:wanted]
            if len(found[query]) < wanted and len(nearest) == count:
                unfinished.append(query)
        left, count = unfinished, count * 4
    if options.diversity:
        return [_diverse(engine, space, found[query], options) for query in range(len(asked))]
    return [found[query] for query in range(len(asked))]


def best_space(record: IndexRecord) -> Space:
    """The space in which a product of the index says most about itself.

    Raises:
        VectorIndexError: it has no vector at all.
    """
    for space in reversed(SPACES):
        if space in record.vectors:
            return space
    raise VectorIndexError(f"product {record.product_id!r} has neither picture nor text in the index; update it")


def _left_over(hits: Sequence[Hit], asked: AskedProduct, options: SimilarOptions) -> list[Hit]:
    """Hits without the product itself, an item once."""
    items = {asked.item_id} if asked.item_id else set()
    kept = []
    for hit in hits:
        item, group = hit.attributes.item_id, hit.attributes.group_id
        is_same = options.exclude_same_product and bool(group) and group == asked.group_id
        if (hit.product_id == asked.product_id and asked.product_id) or is_same or (item and item in items):
            continue
        items.add(item)
        kept.append(hit)
    return kept


def _diverse(engine: IndexEngine, space: Space, pool: list[Hit], options: SimilarOptions) -> list[Hit]:
    """Chosen one by one: near to what is asked for, far from those chosen."""
    records = engine.get([hit.product_id for hit in pool])
    kept = [  # a product may have changed since it was found
        (hit, record.vectors[space])
        for hit, record in zip(pool, records, strict=True)
        if record is not None and space in record.vectors
    ]
    if not kept:
        return []
    pool = [hit for hit, _ in kept]
    vectors = np.stack([vector for _, vector in kept])
    scores = np.array([hit.score for hit in pool])
    nearest_chosen = np.zeros(len(pool))
    chosen: list[int] = []
    while len(chosen) < min(options.k, len(pool)):
        values = (1 - options.diversity) * scores - options.diversity * nearest_chosen
        values[chosen] = -np.inf
        best = int(values.argmax())
        chosen.append(best)
        nearest_chosen = np.maximum(nearest_chosen, vectors @ vectors[best])
    return [pool[i] for i in chosen]
