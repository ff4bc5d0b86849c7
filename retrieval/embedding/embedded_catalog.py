"""The vectors of a catalog, chunk by chunk and in order."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog.pictures.decoding import picture_fault
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.losses import PictureLosses
from catalog.pictures.source import PictureSource
from catalog.read_options import ReadOptions
from catalog.rejects import RejectSink
from catalog.rows import CatalogRow, presence_flags, read_catalog
from model.errors import PictureError
from model.product import FIELDS, TEXT_FIELDS
from retrieval.embedding.cached_pictures import CachedPictures, pictures_digest
from retrieval.embedding.embedder import Embedder, Vectors
from retrieval.index.record import Space
from training.encoding.text_encoding import encode_texts

_TEXT_CHUNK_ROWS = 4096
_PICTURE_CHUNK_ROWS = 512


@dataclass(frozen=True)
class CatalogSource:
    """A catalog to embed.

    Args:
        read_options: how its file is read.
        cache_dir: folder for fetched pictures and for features.
        chunk_rows: rows in memory at a time; 0 is 512 with pictures and 4,096 without.
    """

    path: Path
    read_options: ReadOptions
    cache_dir: Path
    chunk_rows: int = 0


@dataclass(frozen=True)
class FeatureChunk:
    """A chunk of rows with all that vectors are made from.

    Args:
        rows: N catalog rows, in the file's order.
        texts: the classifier's inputs of their texts, and "presence".
        views: (N, V, F) float32 features of their pictures and of the mirror images; None without pictures.
        has_picture: (N,) bool.
        picture_errors: of rows whose picture cannot be used, by position.
    """

    rows: list[CatalogRow]
    texts: dict[str, np.ndarray]
    views: np.ndarray | None
    has_picture: np.ndarray
    picture_errors: dict[int, PictureError]


@dataclass(frozen=True)
class EmbeddedChunk:
    """A chunk of rows with their vectors.

    Args:
        rows: those that have a vector, in the file's order.
        vectors: of each.
        num_read: rows of the file that were dealt with, from its start.
    """

    rows: list[CatalogRow]
    vectors: list[Vectors]
    num_read: int


def catalog_features(
    embedder: Embedder, source: CatalogSource, rejects: RejectSink | None, num_views: int, first_row: int = 0
) -> Iterator[FeatureChunk]:
    """Read a catalog from some row on and compute what vectors are made from.

    Args:
        num_views: 1, or 2 with mirror images.
    Raises:
        CatalogError: the catalog cannot be read.
    """
    preprocessor = embedder.predictor.preprocessor
    with ExitStack() as stack:
        pictures = None
        if embedder.pictures is not None:
            digest = f"{pictures_digest(embedder)}-{num_views}"
            limits = PictureSourceSettings(max_image_bytes=embedder.predictor.bundle.settings.image.max_image_bytes)
            pictures = (
                stack.enter_context(PictureSource(source.path.parent, source.cache_dir / "pictures", limits)),
                stack.enter_context(CachedPictures(embedder.pictures, source.cache_dir, digest, num_views)),
            )
        chunk_rows = source.chunk_rows or (_PICTURE_CHUNK_ROWS if pictures else _TEXT_CHUNK_ROWS)

        def chunks() -> Iterator[tuple[dict[str, list[str]], FeatureChunk]]:
            num_skipped = 0
            for rows in read_catalog(source.path, source.read_options, chunk_rows, rejects):
                left = rows[max(first_row - num_skipped, 0) :]
                num_skipped += len(rows) - len(left)
                if left:
                    texts = {field: [row.text(field) for row in left] for field in preprocessor.text_fields}
                    yield texts, _with_pictures(left, pictures, preprocessor.fields)

        for texts, chunk in encode_texts(
            preprocessor.tokenizer, embedder.predictor.bundle.path / "tokenizer", chunks()
        ):
            yield dataclasses.replace(chunk, texts={**chunk.texts, **texts})


def embed_catalog(
    embedder: Embedder,
    source: CatalogSource,
    rejects: RejectSink,
    spaces: Sequence[Space] = (),
    first_row: int = 0,
    losses: PictureLosses | None = None,
) -> Iterator[EmbeddedChunk]:
    """Vectors of a catalog from some row on; rows without any go to `rejects` with a reason.

    Args:
        spaces: those to compute; all when empty.
        losses: counts rows whose picture cannot be used and that have vectors of their texts all the same.
    Raises:
        CatalogError: the catalog cannot be read, or too many of its pictures.
    """
    num_read = first_row
    for chunk in catalog_features(embedder, source, rejects, 2 if embedder.embedding.is_mirrored else 1, first_row):
        num_read += len(chunk.rows)
        pictures = None if chunk.views is None else chunk.views.mean(axis=1)
        texts = {field: [row.text(field) for row in chunk.rows] for field in TEXT_FIELDS}
        vectors = embedder.vectors(chunk.texts, texts, pictures, chunk.has_picture, spaces)
        kept = [i for i, found in enumerate(vectors) if found]
        for i in set(range(len(chunk.rows))).difference(kept):
            row = chunk.rows[i]
            rejects.add(
                source.path,
                row.line,
                row.product_id,
                _reason(row, chunk.picture_errors.get(i), spaces or embedder.dims),
            )
        if losses is not None:
            for i in kept:
                if i in chunk.picture_errors:
                    losses.lose(chunk.rows[i], chunk.picture_errors[i])
            losses.count(int(chunk.has_picture.sum()) + len(chunk.picture_errors))
        yield EmbeddedChunk([chunk.rows[i] for i in kept], [vectors[i] for i in kept], num_read)
    if losses is not None:
        losses.check()


def _with_pictures(
    rows: list[CatalogRow], pictures: tuple[PictureSource, CachedPictures] | None, fields: Sequence[str]
) -> FeatureChunk:
    presence = {"presence": presence_flags(rows)[:, [FIELDS.index(field) for field in fields]]}
    has_picture = np.zeros(len(rows), bool)
    if pictures is None:
        return FeatureChunk(rows, presence, None, has_picture, {})
    source, cached = pictures
    with_image = [i for i, row in enumerate(rows) if row.image]
    found, errors = cached.views(source.read_many([rows[i].image for i in with_image]))
    views = np.zeros((len(rows), *found.shape[1:]), np.float32)
    views[with_image] = found
    picture_errors = {i: error for i, error in zip(with_image, errors, strict=True) if error is not None}
    has_picture[[i for i in with_image if i not in picture_errors]] = True
    return FeatureChunk(rows, presence, views, has_picture, picture_errors)


def _reason(row: CatalogRow, error: PictureError | None, spaces: Sequence[Space] | Mapping[Space, int]) -> str:
    if error is not None:
        return picture_fault(row.image, error)
    return f"nothing to embed: expected something for a vector of {' or '.join(spaces)}, found none; fill a field in"
