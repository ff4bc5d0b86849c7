"""Puts the products of a catalog into an index, chunk by chunk."""

from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from catalog.pictures.losses import MAX_LOST_PICTURES, PictureLosses
from catalog.rejects import Rejects
from model.errors import CatalogError
from retrieval.embedding.catalog_records import records_of
from retrieval.embedding.embedded_catalog import CatalogSource, embed_catalog
from retrieval.embedding.embedder import Embedder
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import IndexBuild
from retrieval.index.record import Space


@dataclass(frozen=True)
class IndexedCatalog:
    """Outcomes of the rows of a catalog, counted; together they are all of them."""

    num_indexed: int
    num_rejected: int
    num_lost_pictures: int

    def line(self, where: str) -> str:
        """One sentence for the terminal."""
        lost = (
            f", {self.num_lost_pictures} without their picture, which cannot be used" if self.num_lost_pictures else ""
        )
        rejected = f", {self.num_rejected} rejected" if self.num_rejected else ""
        return f"{self.num_indexed} products in {where}{lost}{rejected}"


def index_catalog(
    engine: IndexEngine,
    embedder: Embedder,
    source: CatalogSource,
    rejects: Rejects,
    spaces: Sequence[Space],
    build: IndexBuild | None = None,
    max_lost_pictures: float = MAX_LOST_PICTURES,
) -> IndexedCatalog:
    """Embed a catalog chunk by chunk into an index.

    Args:
        build: the build that this is part of; it remembers what is done.
        max_lost_pictures: share of the pictures that may be unreadable, 0 to 1; their products go in by their texts.
    Raises:
        CatalogError: the catalog cannot be read, or too many of its pictures.
    """
    num_indexed = 0
    losses = PictureLosses(source.path, rejects, max_lost_pictures)
    first_row = build.num_done if build else 0
    with tqdm(desc=f"Embed {source.path.name}", unit=" rows", unit_scale=True, initial=first_row) as bar:
        try:
            for chunk in embed_catalog(embedder, source, rejects, spaces, first_row, losses):
                engine.upsert(records_of(chunk, source))
                if build is not None:
                    build.note_done(chunk.num_read)
                num_indexed += len(chunk.rows)
                bar.update(chunk.num_read - bar.n)
        except CatalogError:  # once they can be read, products that went in without their pictures are read again
            if build is not None:
                build.note_done(0)
            raise
    return IndexedCatalog(first_row + num_indexed, rejects.count, rejects.num_lost_pictures)
