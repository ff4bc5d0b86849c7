"""The command `python -m retrieval update`: products into an index, or out of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.pictures.losses import MAX_LOST_PICTURES
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.errors import SettingsError
from retrieval.commands.build_command import rejects_path
from retrieval.commands.open_bundle import open_embedder
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.indexing import index_catalog
from retrieval.index.index_folder import open_index


@dataclass(frozen=True)
class UpdateCommand:
    """Insert or replace the products of a catalog in an index, or delete some. A server's index changes by its RPCs."""

    index: str
    """Index to change: its folder, or its URL."""
    catalog: Path | None = None
    """Catalog of new and changed products."""
    delete: str = ""
    """Ids of products to delete, joined by commas; @FILE reads one a line."""
    bundle: Path | None = None
    """Bundle of the index, where it is not any more where it was."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows that could not be indexed, CSV; by default INDEX.rejects.csv."""
    max_lost_pictures: float = MAX_LOST_PICTURES
    """Share of the pictures that may be unreadable, 0 to 1; their products go in by their texts."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features."""


def run_update(command: UpdateCommand) -> str:
    """Change the index and say what was done."""
    if (command.catalog is None) == (not command.delete):
        found = "neither" if command.catalog is None else "both"
        raise SettingsError(f"expected --catalog FILE or --delete IDS, found {found}; run them one after the other")
    with open_index(command.index, writes=True) as engine:
        if command.catalog is None:
            ids = _ids(command.delete)
            num_deleted = engine.delete(ids)
            unknown = f", {len(ids) - num_deleted} were not there" if num_deleted < len(ids) else ""
            return f"{num_deleted} products deleted from {command.index}{unknown}; {len(engine)} left"
        embedder = open_embedder(engine.description, command.bundle)
        # Without ids the numbers of rows would be the ids of other products.
        options = command.read_options.requiring("product_id")
        source = CatalogSource(command.catalog, options, command.cache_dir)
        rejects = command.rejects or rejects_path(command.index, command.catalog)
        with Rejects(rejects) as sink:
            spaces = tuple(engine.description.dims)
            counts = index_catalog(engine, embedder, source, sink, spaces, max_lost_pictures=command.max_lost_pictures)
        return f"{counts.line(command.index)}; {len(engine)} in all"


def _ids(text: str) -> list[str]:
    """Distinct ids of --delete."""
    if text.startswith("@"):
        try:
            lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"--delete {text} cannot be read: {error}; give a text file with one id a line"
            ) from error
    else:
        lines = text.split(",")
    return list(dict.fromkeys(filter(None, (line.strip() for line in lines))))
