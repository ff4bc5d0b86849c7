"""Pairs of a catalog's offers that may be one product: those whose titles or vectors are nearest."""

from collections.abc import Iterator

import numpy as np

from retrieval.index.engine import NO_FILTER, IndexEngine
from retrieval.matching.offers.offer_table import OfferTable

#: Nearest offers of each that are looked at.
NUM_CANDIDATES = 10
#: Titles that share less are no candidates.
_LEAST_COSINE = 0.25
_CHUNK_OFFERS = 4096


def candidate_pairs(table: OfferTable, engine: IndexEngine | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Find candidates, chunk by chunk.

    Args:
        engine: an index whose vectors propose candidates too, beside the titles.
    Yields:
        how many offers were looked at, and (P, 2) int64 positions of pairs, the smaller first; a pair of two chunks
        comes twice.
    """
    for start in range(0, len(table), _CHUNK_OFFERS):
        asked = np.arange(start, min(start + _CHUNK_OFFERS, len(table)))
        found, cosines = table.nearest.of(asked)
        near = found[:, :NUM_CANDIDATES]
        left, right = np.repeat(asked, near.shape[1]), near.ravel()
        kept = (right >= 0) & (cosines[:, :NUM_CANDIDATES].ravel() >= _LEAST_COSINE)
        pairs = [np.column_stack([left[kept], right[kept]])]
        if engine is not None:
            pairs += _by_vectors(table, engine, asked)
        chunk = np.sort(np.concatenate(pairs), axis=1)
        yield len(asked), np.unique(chunk, axis=0)


def _by_vectors(table: OfferTable, engine: IndexEngine, asked: np.ndarray) -> list[np.ndarray]:
    """Pairs of offers with their nearest in an index, of other sources where there are different ones."""
    offers, found = table.offers, []
    has_sources = len({offer.source for offer in offers}) > 1
    for space, vectors in table.vectors.items():
        there = asked[vectors[asked].any(axis=1)]
        if not len(there):
            continue
        hits = engine.search(space, vectors[there], NUM_CANDIDATES + 1, NO_FILTER)
        pairs = [
            (i, table.positions[hit.product_id])
            for i, near in zip(there.tolist(), hits, strict=True)
            for hit in near
            if hit.product_id in table.positions
        ]
        kept = [(i, j) for i, j in pairs if i != j and not (has_sources and offers[i].source == offers[j].source)]
        found.append(np.array(kept, np.int64).reshape(-1, 2))
    return found
