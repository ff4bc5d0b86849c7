"""The queries of a benchmark: products of the index, or those of another catalog."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from tqdm import tqdm

from catalog.rejects import Rejects
from model.errors import CatalogError
from retrieval.benchmark.measures import RankedHits, same_depths
from retrieval.embedding.catalog_records import records_of
from retrieval.embedding.embedded_catalog import CatalogSource, embed_catalog
from retrieval.embedding.embedder import Embedder
from retrieval.index.engine import IndexEngine
from retrieval.index.record import Attributes, Hit, IndexRecord, Space
from retrieval.search.similar import AskedProduct, SimilarOptions, similar

_BATCH = 256


@dataclass(frozen=True)
class Asked:
    """Queries with what they found.

    Args:
        records: the products that were asked about.
        hits: of each, best first.
        ranked: the same as flags.
        relevance: "group_id", or "category" where no product has one.
    """

    records: list[IndexRecord]
    hits: list[list[Hit]]
    ranked: RankedHits
    relevance: str


def index_queries(engine: IndexEngine, space: Space, sample: int, seed: int) -> list[IndexRecord]:
    """Products of the index that ask for the others.

    Args:
        sample: most of them, drawn by chance; 0 takes all.
    """
    records = [record for record in engine.scan() if space in record.vectors]
    records.sort(key=lambda record: record.product_id)
    return _sampled(records, sample, seed)


def catalog_queries(
    embedder: Embedder, source: CatalogSource, rejects: Rejects, space: Space, sample: int, seed: int
) -> list[IndexRecord]:
    """Products of another catalog that ask for those of the index.

    Raises:
        CatalogError: the catalog cannot be read, or no product has a vector.
    """
    records: list[IndexRecord] = []
    for chunk in embed_catalog(embedder, source, rejects, (space,)):
        records += records_of(chunk, source)
    if not records:
        raise CatalogError(f"{source.path}: no product has a vector of {space}, {rejects.summary()}")
    return _sampled(records, sample, seed)


def ask(engine: IndexEngine, space: Space, records: Sequence[IndexRecord], k: int, from_outside: bool) -> Asked:
    """Search for each query and compare what it finds.

    Args:
        from_outside: whether the queries are no products of the index; else each does not find itself.
    """
    hits: list[list[Hit]] = []
    options = SimilarOptions(k)
    with tqdm(desc="Search", total=len(records), unit=" queries", delay=1) as bar:
        for batch in _batches(records):
            vectors = np.stack([record.vectors[space] for record in batch])
            asked = [AskedProduct() if from_outside else AskedProduct.of(record) for record in batch]
            hits += similar(engine, space, vectors, asked, options)
            bar.update(len(batch))
    indexed = [(record.attributes, record.product_id) for record in engine.scan() if space in record.vectors]
    has_groups = any(attributes.group_id for attributes, _ in indexed)
    relevance = "group_id" if has_groups else "category"
    return Asked(list(records), hits, _ranked(records, hits, k, indexed, relevance, from_outside), relevance)


def product_of(attributes: Attributes, relevance: str) -> str:
    """Return the value that the same products share; '' is unknown."""
    return attributes.group_id if relevance == "group_id" else attributes.category


def _ranked(
    records: Sequence[IndexRecord],
    hits: Sequence[Sequence[Hit]],
    k: int,
    indexed: Sequence[tuple[Attributes, str]],
    relevance: str,
    from_outside: bool,
) -> RankedHits:
    counts = _product_counts(indexed, relevance)
    num_depths = np.array(
        [record.attributes.category.count(">") + 1 if record.attributes.category else 0 for record in records]
    )
    shape = (len(records), k)
    is_hit, is_same = np.zeros(shape, bool), np.zeros(shape, bool)
    depths = np.zeros(shape, np.int64)
    num_same = np.zeros(len(records), np.int64)
    for query, (record, found) in enumerate(zip(records, hits, strict=True)):
        product = product_of(record.attributes, relevance)
        num_same[query] = counts[product] - (0 if from_outside or not product else 1)
        for rank, hit in enumerate(found):
            is_hit[query, rank] = True
            is_same[query, rank] = bool(product) and product == product_of(hit.attributes, relevance)
            depths[query, rank] = same_depths(record.attributes.category, hit.attributes.category)
    same_category = {depth: depths >= depth for depth in range(1, int(num_depths.max(initial=0)) + 1)}
    return RankedHits(is_hit, is_same, same_category, num_same, num_depths)


def _product_counts(indexed: Sequence[tuple[Attributes, str]], relevance: str) -> Counter[str]:
    """Hits that are possible for each product: its entries, pictures of one item once."""
    items = {
        (product_of(attributes, relevance), attributes.item_id or f"\0{product_id}")
        for attributes, product_id in indexed
    }
    return Counter(product for product, _ in items if product)


def _batches(records: Sequence[IndexRecord]) -> Iterator[list[IndexRecord]]:
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _sampled(records: list[IndexRecord], sample: int, seed: int) -> list[IndexRecord]:
    if not sample or sample >= len(records):
        return records
    chosen = np.sort(np.random.default_rng(seed).choice(len(records), sample, replace=False))
    return [records[i] for i in chosen]
