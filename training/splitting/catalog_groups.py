"""The groups of near-duplicates of a catalog, by text and by picture."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.source import PictureSource
from model.settings import ImageSettings
from training.encoding.feature_cache import FeatureCache
from training.encoding.parsed_catalog import ParsedCatalog
from training.splitting.near_duplicates import (
    Pairs,
    comparable_text,
    equal_pairs,
    groups_of,
    photo_pairs,
    text_pairs,
)

if TYPE_CHECKING:
    from training.encoding.picture_encoding import PictureEncoder

_CHUNK_ROWS = 512
#: A picture that more rows show, or rows of several categories, stands for a missing one ("no picture yet").
_MAX_SHOWN = 50

_log = logging.getLogger("aisle.splitting")


@dataclass(frozen=True, eq=False)
class CatalogRows:
    """The keys by which the rows of a catalog are compared.

    Args:
        product_ids, texts, labels: of each row; see `comparable_text`.
        contents: (N,) uint64, equal for rows with equal texts and pictures; 0 for a row with neither.
        picture_keys: (N,) uint64, equal for equal pictures; 0 without one, or where it cannot be read.
    """

    product_ids: list[str]
    texts: list[str]
    labels: list[str]
    contents: np.ndarray
    picture_keys: np.ndarray

    def joined(self, other: "CatalogRows") -> "CatalogRows":
        """These rows, then those of another catalog."""
        return CatalogRows(
            self.product_ids + other.product_ids,
            self.texts + other.texts,
            self.labels + other.labels,
            np.concatenate([self.contents, other.contents]),
            np.concatenate([self.picture_keys, other.picture_keys]),
        )

    def __len__(self) -> int:
        return len(self.texts)


def read_rows(catalog: ParsedCatalog, fields: Sequence[str], image: ImageSettings, cache_dir: Path) -> CatalogRows:
    """Read what the rows of a catalog are compared by; pictures only where the model reads them."""
    product_ids: list[str] = []
    texts: list[str] = []
    labels: list[str] = []
    contents: list[int] = []
    keys: list[int] = []
    limits = PictureSourceSettings(max_image_bytes=image.max_image_bytes)
    with tqdm(desc=f"Compare rows of {catalog.path.name}", unit=" rows", unit_scale=True, delay=1) as bar:
        for file in catalog.files:
            with PictureSource(file.path.parent, cache_dir / "pictures", limits) as source:
                for rows in file.rows(_CHUNK_ROWS if "image" in fields else 8192):
                    images = [row.image for row in rows if row.image] if "image" in fields else []
                    found = dict(zip(images, map(_key, source.read_many(images)), strict=True))
                    own_keys = [found.get(row.image, 0) for row in rows]
                    product_ids += [row.product_id for row in rows]
                    texts += [comparable_text(row) for row in rows]
                    labels += [sys.intern(row.category) for row in rows]
                    keys += own_keys
                    contents += [_content(row.texts, key) for row, key in zip(rows, own_keys, strict=True)]
                    bar.update(len(rows))
    return CatalogRows(product_ids, texts, labels, np.array(contents, np.uint64), np.array(keys, np.uint64))


def near_duplicate_groups(
    rows: CatalogRows, catalogs: Sequence[ParsedCatalog], image: ImageSettings, seed: int, cache_dir: Path
) -> np.ndarray:
    """(N,) int, the group of each row: near-equal texts, equal pictures, photos of one burst.

    Only photos without texts are compared by what they show: of products with names, equal pictures are enough, and
    look-alikes are many.

    Args:
        rows: of the catalogs, one after the other.
    """
    pairs = [text_pairs(rows.texts), equal_pairs(_distinctive(rows))]
    photos = np.flatnonzero((rows.picture_keys != 0) & np.array([not text for text in rows.texts], bool))
    if len(photos) > 1 and image.image_weights != "none":
        found = _burst_pairs(rows, photos, catalogs, image, seed, cache_dir)
        pairs.append(found)
    groups = groups_of(pairs, len(rows))
    _log.info("%d rows, %d without near-duplicates", len(rows), len(np.unique(groups)))
    return groups


def _key(picture: bytes | Exception) -> int:
    return FeatureCache.key(picture) if isinstance(picture, bytes) else 0


def _content(texts: tuple[str, ...], picture_key: int) -> int:
    if not picture_key and not any(texts):
        return 0
    return FeatureCache.key("\0".join((*texts, str(picture_key))).encode())


def _distinctive(rows: CatalogRows) -> np.ndarray:
    """Picture keys, 0 for pictures that stand for a missing one."""
    keys, positions, counts = np.unique(rows.picture_keys, return_inverse=True, return_counts=True)
    labels = np.unique(rows.labels, return_inverse=True)[1]
    lowest = np.full(len(keys), len(rows))
    highest = np.full(len(keys), -1)
    np.minimum.at(lowest, positions, labels)
    np.maximum.at(highest, positions, labels)
    is_kept = (counts <= _MAX_SHOWN) & (lowest == highest)
    return np.where(is_kept[positions], rows.picture_keys, 0)


def _burst_pairs(
    rows: CatalogRows,
    photos: np.ndarray,
    catalogs: Sequence[ParsedCatalog],
    image: ImageSettings,
    seed: int,
    cache_dir: Path,
) -> Pairs:
    """Pairs of rows whose photos show one thing."""
    from model.network.image_encoder import build_image_encoder  # Keras, which a search does without
    from training.encoding.picture_encoding import PictureEncoder

    encoder = PictureEncoder(build_image_encoder(replace(image, finetune_layers=0), seed), image, cache_dir)
    encoder.cache.refresh()
    _embed(encoder, catalogs, set(rows.picture_keys[photos].tolist()), image, cache_dir)
    places = encoder.cache.rows(rows.picture_keys[photos])
    photos, places = photos[places >= 0], places[places >= 0]
    features = np.asarray(encoder.cache.features()[places], np.float32)
    return photos[photo_pairs(features, [rows.labels[row] for row in photos])].reshape(-1, 2)


def _embed(
    encoder: "PictureEncoder",
    catalogs: Sequence[ParsedCatalog],
    wanted: set[int],
    image: ImageSettings,
    cache_dir: Path,
) -> None:
    limits = PictureSourceSettings(max_image_bytes=image.max_image_bytes)
    with tqdm(desc="Compare photos", total=len(wanted), unit=" photos", unit_scale=True) as bar:
        for file in (file for catalog in catalogs for file in catalog.files):
            with PictureSource(file.path.parent, cache_dir / "pictures", limits) as source:
                for rows in file.rows(_CHUNK_ROWS):
                    pictures = source.read_many([row.image for row in rows if row.image])
                    chosen = [picture for picture in pictures if _key(picture) in wanted]
                    encoder.embed(chosen)
                    bar.update(len(chosen))
