"""An exact index of catalogs in a temporary folder, to measure an embedding by itself."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catalog.rejects import Rejects
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.embedding.indexing import index_catalog
from retrieval.index.description import IndexDescription
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import IndexBuild
from retrieval.index.record import Space


@contextmanager
def temporary_index(embedder: Embedder, sources: Sequence[CatalogSource], space: Space) -> Iterator[IndexEngine]:
    """Index catalogs by the vectors of one space, for as long as a `with` lasts."""
    bundle = embedder.predictor.bundle
    description = IndexDescription(
        "exact", bundle.name, bundle.version, str(bundle.path), embedder.checksum, {space: embedder.dims[space]},
        embedder.crop, "",
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="aisle-index-") as folder,
        Rejects(None) as rejects,
        IndexBuild(str(Path(folder) / "index"), description, "temporary") as build,
    ):
        for source in sources:
            index_catalog(build.engine, embedder, source, rejects, (space,))
        yield build.engine
