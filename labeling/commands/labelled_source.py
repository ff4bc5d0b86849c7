"""The labelled catalog of a command, read with the command's own flags."""

from pathlib import Path
from typing import Protocol

from catalog.read_options import ReadOptions
from labeling.answers.labelled_catalog import LabelledCatalog, read_labelled
from labeling.settings import LinearSettings


class LabelledSource(Protocol):
    """The flags of every command that reads a labelled catalog."""

    @property
    def catalog(self) -> Path:
        """Labelled catalog."""

    @property
    def read_options(self) -> ReadOptions:
        """Options for reading it."""

    @property
    def taxonomy(self) -> Path | None:
        """The shop's tree, None for what the labels span."""

    @property
    def cache_dir(self) -> Path:
        """Encoded catalogs, shared by all runs."""

    @property
    def settings(self) -> LinearSettings:
        """Settings of its answers."""


def read_source(source: LabelledSource, folder: Path) -> LabelledCatalog:
    """Read and encode the catalog of a command; what cannot be used goes to rejects.csv.

    Args:
        folder: for the rejects; made where it is missing.
    Raises:
        AisleError: the file cannot be read, or has no usable row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return read_labelled(
        source.catalog,
        source.read_options,
        source.taxonomy,
        folder / "rejects.csv",
        source.cache_dir,
        source.settings.image_weights,
        source.settings.max_lost_pictures,
    )
