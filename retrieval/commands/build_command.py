"""The command `python -m retrieval build`: a catalog in, an index out."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from catalog.cache_dir import default_cache_dir
from catalog.pictures.losses import MAX_LOST_PICTURES
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import catalog_digest
from model.engines.engine import EngineName, Precision
from model.errors import VectorIndexError
from retrieval.embedding.crop import CropName
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.embedding.indexing import index_catalog
from retrieval.index.description import IndexDescription
from retrieval.index.index_folder import IndexBuild
from retrieval.index.location import is_remote
from retrieval.index.record import SPACES, Space
from retrieval.settings import IndexSettings

_log = logging.getLogger("aisle.retrieval")


@dataclass(frozen=True)
class BuildCommand:
    """Embed a catalog and build an index of it; an interrupted build goes on where it stopped."""

    bundle: Path
    """Bundle whose embedding is used."""
    catalog: Path
    """Catalog to index: .csv, .tsv, .jsonl or .parquet."""
    index: str
    """Folder to write to, or postgresql://USER@HOST/DATABASE#NAME; an existing index is replaced."""
    space: Literal["all", "image", "text", "joint"] = "all"
    """Vectors to keep: of pictures, of texts, of both together."""
    index_engine: Literal["hnsw", "exact"] = "hnsw"
    """Search of a folder: through a graph of neighbours, or by comparing with every product."""
    crop: CropName | None = None
    """Part of the pictures that counts; as the bundle says by default."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows that could not be indexed, CSV; by default INDEX.rejects.csv."""
    max_lost_pictures: float = MAX_LOST_PICTURES
    """Share of the pictures that may be unreadable, 0 to 1; their products go in by their texts."""
    engine: EngineName = "auto"
    """Inference engine; auto takes Keras where it finds a GPU, else OpenVINO."""
    precision: Precision = "float32"
    """Arithmetic inside the engine; queries have to be embedded in the same."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features, shared with training."""
    settings: Annotated[IndexSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=IndexSettings)
    """Settings of the index."""


def run_build(command: BuildCommand) -> str:
    """Build the index and say what is in it."""
    embedder = Embedder.open(command.bundle, command.crop, command.engine, command.precision)
    spaces = chosen_spaces(embedder, command.space)
    source = CatalogSource(command.catalog, command.read_options, command.cache_dir)
    description = describe_index(embedder, spaces, command)
    with (
        IndexBuild(command.index, description, _source_digest(source)) as build,
        Rejects(command.rejects or rejects_path(command.index, command.catalog)) as rejects,
    ):
        if build.num_done:
            _log.info("%s: %d rows were indexed by an interrupted build", command.catalog, build.num_done)
        counts = index_catalog(build.engine, embedder, source, rejects, spaces, build, command.max_lost_pictures)
        if not len(build.engine):
            raise VectorIndexError(f"{command.catalog}: no product can be indexed, {rejects.summary()}")
        with tqdm(desc="Graph", unit=" products", unit_scale=True, delay=1) as bar:
            build.finish(bar.update)
        statistics = build.statistics
    lines = [counts.line(command.index)]
    lines += [
        f"{space}: {found.num_vectors} vectors of {found.dim}, recall {found.recall:.3f}"
        for space, found in statistics.items()
    ]
    return "\n".join(lines)


def chosen_spaces(embedder: Embedder, space: str) -> tuple[Space, ...]:
    """The spaces that were asked for.

    Raises:
        SettingsError: the bundle has no such space.
    """
    if space == "all":
        return tuple(embedder.dims)
    chosen = tuple(known for known in SPACES if known == space)
    embedder.check_space(chosen[0])
    return chosen


def describe_index(embedder: Embedder, spaces: Sequence[Space], command: BuildCommand) -> IndexDescription:
    """Return the description of the new index."""
    bundle = embedder.predictor.bundle
    return IndexDescription(
        "postgres" if is_remote(command.index) else command.index_engine,
        bundle.name,
        bundle.version,
        str(command.bundle.resolve()),
        embedder.checksum,
        {space: embedder.dims[space] for space in spaces},
        embedder.crop,
        datetime.now(UTC).isoformat(timespec="seconds"),
        command.settings,
    )


def rejects_path(index: str, catalog: Path) -> Path:
    """The rejects file beside the index, or beside the catalog for a database."""
    if is_remote(index):
        return catalog.with_name(f"{catalog.name}.rejects.csv")
    path = Path(index)
    return path.with_name(f"{path.name}.rejects.csv")


def _source_digest(source: CatalogSource) -> str:
    parts = [catalog_digest(source.path), str(source.path.resolve()), source.read_options.changed()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
