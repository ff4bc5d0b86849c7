"""The pictures of a catalog's items, each with what the rules ask about."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from tqdm import tqdm

from catalog.pictures.decoding import decode_or_error, picture_fault
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.source import PictureSource
from catalog.rejects import RejectSink
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError, PictureError
from model.machine.cores import usable_cores
from retrieval.embedding.cached_pictures import CachedPictures, pictures_digest
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.embedding.projection import unit_length
from retrieval.pairs.image_type_classifier import UNKNOWN, ImageTypeClassifier
from retrieval.pairs.perceptual_hash import perceptual_hash

_CHUNK_ROWS = 512
_NUM_VIEWS = 2  # as metric learning reads them, so that it finds them in the cache
_HASHED_SIZE = 64


@dataclass(frozen=True)
class GalleryPictures:
    """Pictures of items, in the catalog's order.

    Args:
        ids: product_id of each of N.
        images: its path or URL, as in the file.
        item_ids: of the M items.
        items: (N,) int32 position in `item_ids`.
        hashes: (N,) uint64 perceptual hashes.
        types: (N,) int8 position in IMAGE_TYPES, -1 where nobody asked.
        vectors: (N, F) float16 features of unit length, in a file.
        num_without_item: rows that were left out because they have no item_id or no image.
    """

    ids: list[str]
    images: list[str]
    item_ids: list[str]
    items: np.ndarray
    hashes: np.ndarray
    types: np.ndarray
    vectors: np.ndarray
    num_without_item: int


@contextmanager
def described_pictures(
    embedder: Embedder,
    classifier: ImageTypeClassifier | None,
    source: CatalogSource,
    rejects: RejectSink,
    folder: Path,
) -> Iterator[GalleryPictures]:
    """Read a catalog and describe its pictures, for as long as a `with` lasts.

    Memory holds a chunk of the pictures, and of all of them ids and a few numbers; vectors are in a file.

    Args:
        embedder: of a bundle that reads pictures; its features are compared, not what a projection makes of them: that
            calls pictures of one product alike, though they be different shots.
        folder: for that file.
    Raises:
        CatalogError: the catalog cannot be read, or no row has item_id and image.
    """
    assert embedder.pictures is not None
    with TemporaryFile(dir=folder) as file:
        collected = _Collected()
        _collect(embedder, classifier, source, rejects, collected, file)
        yield collected.pictures(source.path, file, embedder.pictures.dim)


def _collect(
    embedder: Embedder,
    classifier: ImageTypeClassifier | None,
    source: CatalogSource,
    rejects: RejectSink,
    collected: "_Collected",
    file: IO[bytes],
) -> None:
    """Describe the pictures chunk by chunk."""
    assert embedder.pictures is not None
    limits = PictureSourceSettings(max_image_bytes=embedder.predictor.bundle.settings.image.max_image_bytes)
    digest = f"{pictures_digest(embedder)}-{_NUM_VIEWS}"
    with (
        PictureSource(source.path.parent, source.cache_dir / "pictures", limits) as pictures,
        CachedPictures(embedder.pictures, source.cache_dir, digest, _NUM_VIEWS) as cached,
        ThreadPoolExecutor(usable_cores()) as pool,
        tqdm(desc=f"Describe {source.path.name}", unit=" rows", unit_scale=True) as bar,
    ):
        reader = _Reader(embedder, classifier, pictures, cached, pool)
        for rows in read_catalog(source.path, source.read_options, source.chunk_rows or _CHUNK_ROWS, rejects):
            of_items = [row for row in rows if row.image and row.offer_text("item_id")]
            collected.num_without_item += len(rows) - len(of_items)
            if of_items:
                collected.add(source.path, of_items, reader.describe(of_items), rejects, file)
            bar.update(len(rows))


@dataclass(frozen=True)
class _Described:
    """N pictures; `errors` of those that cannot be used, whose values mean nothing."""

    hashes: np.ndarray
    types: np.ndarray
    vectors: np.ndarray
    errors: list[PictureError | None]


class _Reader:
    """Hash, type and vector of the pictures of a chunk of rows."""

    def __init__(
        self,
        embedder: Embedder,
        classifier: ImageTypeClassifier | None,
        pictures: PictureSource,
        cached: CachedPictures,
        pool: ThreadPoolExecutor,
    ):
        self._embedder = embedder
        self._classifier = classifier
        self._pictures = pictures
        self._cached = cached
        self._pool = pool
        self._small = replace(embedder.predictor.preprocessor.image, image_size=_HASHED_SIZE)

    def describe(self, rows: Sequence[CatalogRow]) -> _Described:
        found = self._pictures.read_many([row.image for row in rows])
        hashes = np.zeros(len(rows), np.uint64)
        decoded = self._pool.map(lambda picture: decode_or_error(picture, self._small), found)
        for i, pixels in enumerate(decoded):
            if not isinstance(pixels, PictureError):
                hashes[i] = perceptual_hash(pixels)
        views, errors = self._cached.views(found)
        assert self._embedder.pictures is not None
        vectors = unit_length(self._embedder.pictures.unit(views[:, 0])).astype(np.float16)
        return _Described(hashes, self._types(found, views[:, 0]), vectors, errors)

    def _types(self, found: Sequence[bytes | PictureError], features: np.ndarray) -> np.ndarray:
        if self._classifier is None:
            return np.full(len(found), UNKNOWN, np.int8)
        own = self._embedder.pictures.own(features) if self._embedder.pictures is not None else None
        if own is not None and self._classifier.shares_encoder(self._embedder):
            return self._classifier.types_of_features(own)  # each picture is encoded for both at once
        return self._classifier.types(found)


class _Collected:
    """The descriptions of pictures that are kept."""

    def __init__(self) -> None:
        self.num_without_item = 0
        self._ids: list[str] = []
        self._images: list[str] = []
        self._numbers: dict[str, int] = {}
        self._items: list[int] = []
        self._hashes: list[np.ndarray] = []
        self._types: list[np.ndarray] = []

    def add(
        self, path: Path, rows: Sequence[CatalogRow], described: _Described, rejects: RejectSink, file: IO[bytes]
    ) -> None:
        good = [i for i, error in enumerate(described.errors) if error is None]
        for row, error in zip(rows, described.errors, strict=True):
            if error is not None:
                rejects.add(path, row.line, row.product_id, picture_fault(row.image, error))
        for i in good:
            self._ids.append(rows[i].product_id)
            self._images.append(rows[i].image)
            self._items.append(self._numbers.setdefault(rows[i].offer_text("item_id"), len(self._numbers)))
        self._hashes.append(described.hashes[good])
        self._types.append(described.types[good])
        file.write(np.ascontiguousarray(described.vectors[good]).data)

    def pictures(self, path: Path, file: IO[bytes], dim: int) -> GalleryPictures:
        if not self._ids:
            raise CatalogError(
                f"{path}: expected rows with an item_id and a picture that can be read, found none"
                f" ({self.num_without_item:,} rows lack item_id or image); name the heading with --columns"
                " item_id=HEADING"
            )
        file.flush()
        return GalleryPictures(
            self._ids,
            self._images,
            list(self._numbers),
            np.array(self._items, np.int32),
            np.concatenate(self._hashes),
            np.concatenate(self._types),
            np.memmap(file, np.float16, "r", shape=(len(self._ids), dim)),
            self.num_without_item,
        )
