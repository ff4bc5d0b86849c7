"""Pictures of a catalog to features or pixels: fetched, decoded in threads, embedded once."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from catalog.pictures.decoding import decode_or_error
from model.engines.export import export_program
from model.engines.openvino_engine import OpenVinoProgram
from model.errors import PictureError
from model.machine.cores import usable_cores
from model.settings import ImageSettings
from training.encoding.feature_cache import FeatureCache

#: More at a time is slower on a processor: the activations leave its cache.
_BATCH = 8


class PictureEncoder:
    """Features of encoded pictures through a frozen image encoder, with a cache on disk.

    Runs the encoder's OpenVINO export, in float32: MobileNetV2's features in bfloat16 are 14 % off (Euclidean norm),
    and heads trained on those lose accuracy when they are served float32.

    Args:
        image_encoder: Keras model from pixels to features.
        cache_dir: holds one folder per encoder and settings.
        dtype: that keeps a feature.
        is_mirrored: whether the features of the mirrored picture follow those of the picture.
    """

    def __init__(
        self,
        image_encoder: keras.Model,
        settings: ImageSettings,
        cache_dir: Path,
        dtype: type = np.float32,
        is_mirrored: bool = False,
    ):
        self.settings = settings
        self.is_mirrored = is_mirrored
        kind = f"{settings.backbone} {settings.image_size} {np.dtype(dtype)}{' mirrored' if is_mirrored else ''}"
        self.digest = _encoder_digest(image_encoder, kind)
        folder = cache_dir / "features" / self.digest
        width = image_encoder.outputs[0].shape[-1]
        self.cache = FeatureCache(folder, 2 * width if is_mirrored else width, dtype)
        program = folder / "image_encoder.xml"
        if not program.exists():
            _export(image_encoder, program)
        self._program = OpenVinoProgram(program, "float32")
        self._pool = ThreadPoolExecutor(usable_cores())

    def embed(self, pictures: Sequence[bytes | PictureError]) -> list[int | PictureError]:
        """Key in `cache` of each picture, new ones embedded; a broken one becomes its error and costs no neighbour."""
        keys = [picture if isinstance(picture, PictureError) else FeatureCache.key(picture) for picture in pictures]
        encoded = {k: p for k, p in zip(keys, pictures, strict=True) if isinstance(k, int) and isinstance(p, bytes)}
        failed = self._embed_new(encoded)
        return [failed.get(key, key) if isinstance(key, int) else key for key in keys]

    def _embed_new(self, pictures: Mapping[int, bytes]) -> dict[int, PictureError]:
        """Decode on all cores while the encoder works on the batch before; returns the errors."""
        failed: dict[int, PictureError] = {}
        keys = [key for key, row in zip(pictures, self.cache.rows(list(pictures)), strict=True) if row < 0]
        decoded = self._pool.map(lambda key: decode_or_error(pictures[key], self.settings), keys)
        batch: list[tuple[int, np.ndarray]] = []
        for key, pixels in zip(keys, decoded, strict=True):
            if isinstance(pixels, PictureError):
                failed[key] = pixels
                continue
            batch.append((key, pixels))
            if len(batch) == _BATCH:
                self._embed(batch)
                batch = []
        if batch:
            self._embed(batch)
        return failed

    def run(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 pixels to (N, F) features."""
        views = [images, images[:, :, ::-1]] if self.is_mirrored else [images]
        return np.concatenate([self._program.run({"images": view})["image_features"] for view in views], axis=1)

    def _embed(self, batch: list[tuple[int, np.ndarray]]) -> None:
        self.cache.append([key for key, _ in batch], self.run(np.stack([pixels for _, pixels in batch])))


def _encoder_digest(image_encoder: keras.Model, kind: str) -> str:
    digest = hashlib.sha256(kind.encode())
    for weights in image_encoder.get_weights():
        digest.update(np.ascontiguousarray(weights).data)
    return digest.hexdigest()[:24]


def _export(image_encoder: keras.Model, program: Path) -> None:
    """Through a name of this process' own, so that a half-written program is never found."""
    partial = program.with_name(f"partial-{os.getpid()}.xml")
    source = partial.with_suffix(".keras")
    image_encoder.save(source)
    export_program(source, partial)
    source.unlink()
    partial.with_suffix(".bin").rename(program.with_suffix(".bin"))
    partial.rename(program)
