"""The bundle of an index, opened to embed queries and changes."""

from pathlib import Path
from typing import cast

from model.engines.engine import EngineName
from model.errors import VectorIndexError
from retrieval.embedding.crop import CropName
from retrieval.embedding.description import embedding_checksum
from retrieval.embedding.embedder import Embedder
from retrieval.index.description import IndexDescription


def open_embedder(
    description: IndexDescription,
    bundle: Path | None = None,
    crop: CropName | None = None,
    engine: EngineName = "auto",
) -> Embedder:
    """Open the bundle that an index was made with.

    Args:
        bundle: where it is now; None is where it was then.
        crop: of pictures; None is as in the index.
    Raises:
        VectorIndexError: the bundle gives other vectors.
        BundleError: there is none, or it is damaged.
    """
    bundle = bundle or Path(description.bundle_dir)
    indexed_crop = cast(CropName, description.crop)
    embedder = Embedder.open(bundle, crop or indexed_crop, engine)
    checksum = embedding_checksum(bundle, indexed_crop)
    if checksum != description.embedding_checksum:
        raise VectorIndexError(
            f"the index holds vectors of the bundle {description.bundle_name} {description.bundle_version}"
            f" ({description.embedding_checksum[:12]}), found {bundle} ({checksum[:12]}); give that bundle with"
            " --bundle, or build an index with this one"
        )
    return embedder
