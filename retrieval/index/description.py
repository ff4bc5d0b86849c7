"""The description of an index: the bundle whose embedding it holds, its spaces and settings."""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from model.errors import SettingsError, VectorIndexError
from retrieval.index.record import SPACES, Space
from retrieval.settings import IndexSettings

#: exact: every vector is compared, in a folder. hnsw: a graph of neighbours (Malkov and Yashunin 2018), in a folder.
#: postgres: tables of a PostgreSQL with pgvector, by URL.
IndexEngineName = Literal["exact", "hnsw", "postgres"]
#: Format of the indexes that this program writes and reads.
INDEX_FORMAT_VERSION = 1


@dataclass(frozen=True)
class IndexDescription:
    """Stored in an index when it is made.

    Args:
        bundle_name, bundle_version: for people.
        bundle_dir: where the bundle was when the index was made.
        embedding_checksum: SHA-256 of all that decides what a product's vectors are, hexadecimal.
        dims: numbers in a vector of each space that the index has.
        crop: how its pictures were cut, see `retrieval.embedding.crop`.
        created: time, ISO 8601.
    """

    engine: IndexEngineName
    bundle_name: str
    bundle_version: str
    bundle_dir: str
    embedding_checksum: str
    dims: dict[Space, int]
    crop: str
    created: str
    settings: IndexSettings = field(default_factory=IndexSettings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"format_version": INDEX_FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Any, source: str) -> "IndexDescription":
        """Read what `to_dict` gave.

        Args:
            source: where it comes from, for the error text.
        Raises:
            VectorIndexError: it is damaged or of another format.
        """
        version = values.get("format_version") if isinstance(values, dict) else None
        if isinstance(version, int) and version != INDEX_FORMAT_VERSION:
            raise VectorIndexError(
                f"{source} has format {version}, this program reads format {INDEX_FORMAT_VERSION}; build the index"
                " again"
            )
        try:
            given = {name: value for name, value in values.items() if name != "format_version"}
            description = cls(**{**given, "settings": IndexSettings(**given["settings"])})
            known = description.engine in typing.get_args(IndexEngineName) and set(description.dims) <= set(SPACES)
            known = known and all(isinstance(dim, int) for dim in description.dims.values())
        except (AttributeError, KeyError, TypeError, SettingsError) as error:
            raise VectorIndexError(f"{source} is damaged: {error!r}; build the index again") from error
        if version is None or not known:
            raise VectorIndexError(f"{source} is damaged: it names no known engine or space; build the index again")
        return description
