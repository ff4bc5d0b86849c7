"""Features of encoded pictures, kept on disk: a picture is decoded and encoded once, whatever index it is for."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model.bundle.manifest import read_json
from model.bundle_files import FILES
from model.errors import PictureError
from model.machine.cores import usable_cores
from retrieval.embedding.embedder import Embedder
from retrieval.embedding.image_encoders import PictureFeatures, decode_or_error
from training.encoding.feature_cache import FeatureCache


class CachedPictures:
    """Features through a cache on disk; processes may share it. Use as a context manager.

    Args:
        digest: equal for pictures that are encoded in the same way.
        num_views: 2 keeps the features of the mirror image beside those of the picture.
    """

    def __init__(self, pictures: PictureFeatures, cache_dir: Path, digest: str, num_views: int):
        self._pictures = pictures
        self._num_views = num_views
        self._cache = FeatureCache(cache_dir / "features" / digest, num_views * pictures.dim)
        self._pool = ThreadPoolExecutor(usable_cores())

    def __enter__(self) -> "CachedPictures":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def views(self, pictures: Sequence[bytes | PictureError]) -> tuple[np.ndarray, list[PictureError | None]]:
        """Features of N encoded pictures, new ones encoded.

        Returns:
            (N, num_views, F) float32, zeros for a broken picture, and the error of each, None for a good one.
        """
        keys = [0 if isinstance(picture, PictureError) else FeatureCache.key(picture) for picture in pictures]
        errors: dict[int, PictureError] = {}
        new = {key: picture for key, picture in zip(keys, pictures, strict=True) if isinstance(picture, bytes)}
        rows = self._cache.rows(list(new))
        self._encode([(key, picture) for (key, picture), row in zip(new.items(), rows, strict=True) if row < 0], errors)
        found = np.zeros((len(pictures), self._num_views, self._pictures.dim), np.float32)
        cached = self._cache.rows(keys)
        good = [i for i, picture in enumerate(pictures) if isinstance(picture, bytes) and keys[i] not in errors]
        if good:
            found[good] = self._cache.features()[cached[good]].reshape(len(good), self._num_views, -1)
        each = [
            picture if isinstance(picture, PictureError) else errors.get(key)
            for key, picture in zip(keys, pictures, strict=True)
        ]
        return found, each

    def _encode(self, pictures: Sequence[tuple[int, bytes]], errors: dict[int, PictureError]) -> None:
        """Decode on all cores while the encoders work."""
        batch_rows = 64
        decoded = self._pool.map(lambda entry: decode_or_error(self._pictures, entry[1]), pictures)
        keys: list[int] = []
        batch: list[dict[int, np.ndarray]] = []
        for (key, _), pixels in zip(pictures, decoded, strict=True):
            if isinstance(pixels, PictureError):
                errors[key] = pixels
            else:
                keys.append(key)
                batch.append(pixels)
            if len(batch) == batch_rows:
                self._keep(keys, batch)
                keys, batch = [], []
        if batch:
            self._keep(keys, batch)

    def _keep(self, keys: list[int], batch: list[dict[int, np.ndarray]]) -> None:
        views = self._pictures.encode_views(batch, self._num_views)
        self._cache.append(keys, views.reshape(len(keys), -1))


def pictures_digest(embedder: Embedder) -> str:
    """Equal for embedders that encode pictures in the same way, hexadecimal."""
    bundle_dir = embedder.predictor.bundle.path
    files: dict[str, str] = read_json(bundle_dir, FILES.manifest)["files"]
    encoders = [
        (entry.name, files.get(entry.program or FILES.image_encoder, ""), str(entry.preprocessing))
        for entry in embedder.embedding.image_encoders
    ]
    engine = embedder.predictor.engine
    parts = [encoders, embedder.predictor.bundle.settings.image.image_size, embedder.crop, engine.precision]
    return hashlib.sha256(json.dumps(["retrieval", *parts]).encode()).hexdigest()[:24]
