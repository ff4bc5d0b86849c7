"""Vectors of the offers' pictures: by a bundle as it is, after metric learning on some groups, or of an index."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from catalog.pairs import pair_writer
from retrieval.embedding.embedded_catalog import CatalogSource, embed_catalog
from retrieval.embedding.embedder import Embedder
from retrieval.index.engine import IndexEngine
from retrieval.ladder.pool import Pool
from retrieval.settings import MetricSettings

_CHUNK_IDS = 4096
#: (D,) float32 of unit length by product_id; those without a picture are left out.
PictureVectors = Mapping[str, np.ndarray]


def bundle_vectors(embedder: Embedder, source: CatalogSource) -> PictureVectors:
    """Embed the pictures of a catalog."""
    vectors: dict[str, np.ndarray] = {}
    with tqdm(desc=f"Embed {source.path.name}", unit=" pictures", unit_scale=True) as bar:
        for chunk in embed_catalog(embedder, source, _NoRejects(), ("image",)):
            found = zip(chunk.rows, chunk.vectors, strict=True)
            vectors |= {row.product_id: row_vectors["image"] for row, row_vectors in found}
            bar.update(len(chunk.rows))
    return vectors


def index_vectors(engine: IndexEngine, product_ids: Sequence[str]) -> PictureVectors:
    """Take the vectors of pictures that an index has."""
    vectors = {}
    for start in range(0, len(product_ids), _CHUNK_IDS):
        for record in engine.get(product_ids[start : start + _CHUNK_IDS]):
            if record is not None and "image" in record.vectors:
                vectors[record.product_id] = record.vectors["image"]
    return vectors


def learned_vectors(
    bundle: Path, source: CatalogSource, pool: Pool, backbones: tuple[str, ...], settings: MetricSettings
) -> PictureVectors:
    """Learn from the groups of a pool which pictures show the same product, and embed those of the whole catalog.

    Args:
        backbones: see `MetricJob`.
    Raises:
        TrainingError: there is too little to learn from.
    """
    from retrieval.learning.train import MetricJob, train_metric  # loads Keras

    with tempfile.TemporaryDirectory(prefix="aisle-ladder-") as temporary:
        folder = Path(temporary)
        _write_pairs(folder / "pairs.csv", pool)
        job = MetricJob(
            bundle, (source.path,), source.read_options, folder / "bundle", backbones, None, True, "none",
            folder / "rejects.csv", source.cache_dir, folder / "pairs.csv",
        )  # fmt: skip
        train_metric(job, settings)
        return bundle_vectors(Embedder.open(job.out), source)


def rows_of(vectors: PictureVectors, product_ids: Sequence[str]) -> np.ndarray:
    """(N, D) float32; zeros for a product without a vector."""
    dim = len(next(iter(vectors.values())))
    rows = np.zeros((len(product_ids), dim), np.float32)
    for position, product_id in enumerate(product_ids):
        if product_id in vectors:
            rows[position] = vectors[product_id]
    return rows


class _NoRejects:
    """Drops rejects: an offer without a picture is as it should be here, and bad rows were reported before."""

    def add(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        """Do nothing."""


def _write_pairs(path: Path, pool: Pool) -> None:
    """Write pairs that connect each group; the other offers of the catalog are in none, and so are not learned from."""
    firsts: dict[int, str] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = pair_writer(file, "same")
        for product_id, group in zip(pool.product_ids, pool.groups.tolist(), strict=True):
            first = firsts.setdefault(group, product_id)
            if first != product_id:
                writer.writerow((first, product_id, 1))
