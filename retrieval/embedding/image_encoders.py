"""Image encoders side by side: the bundle's own and others, as ONNX programs in the bundle."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from model.engines.onnx_engine import OnnxProgram
from model.errors import BundleError, EngineError, PictureError
from model.pictures import decode_picture
from model.settings import ImageSettings
from retrieval.embedding.crop import CropName, crop_to_product
from retrieval.embedding.description import OWN_ENCODER, EncoderDescription
from retrieval.embedding.preprocessing import PicturePreprocessing
from retrieval.embedding.projection import unit_length

#: A picture is decoded so many times larger than an encoder wants it where a part of it will be cut out.
_CROP_SCALE = 2
_BATCH = 8


class ImageEncoder(Protocol):
    """Pixels to features. Thread-safe.

    Attributes:
        image_size: height and width of the pixels that it takes.
    """

    image_size: int

    def encode(self, images: np.ndarray) -> np.ndarray:
        """(B, image_size, image_size, 3) uint8 to (B, F) float32."""
        ...


class OwnEncoder:
    """The image encoder of a bundle's engine.

    Args:
        encode: the engine's `encode_images`.
    """

    def __init__(self, image_size: int, encode: Callable[[np.ndarray], np.ndarray]):
        self.image_size = image_size
        self.encode = encode


class ProgramEncoder:
    """An ONNX program with its preprocessing.

    Args:
        threads: of the program on the CPU; 0 means all cores.
    Raises:
        EngineError: it cannot be loaded.
    """

    def __init__(self, program: Path, preprocessing: PicturePreprocessing, threads: int = 0):
        self.image_size = preprocessing.image_size
        self._preprocessing = preprocessing
        self._program = OnnxProgram(program, threads)
        self._input = self._program.input_names[0]
        self._where = program

    def encode(self, images: np.ndarray) -> np.ndarray:
        """See `ImageEncoder`.

        Raises:
            EngineError: the program takes no such pictures or gives no vectors.
        """
        try:
            outputs = self._program.run({self._input: self._preprocessing.prepare(images)})
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise EngineError(
                f"{self._where} cannot take pictures as its TOML file says: {error}; check image_size, dtype and layout"
            ) from error
        return named_output(outputs, self._preprocessing.output, self._where)


class PictureFeatures:
    """Features of encoded pictures by all image encoders of an embedding, one behind the other.

    Args:
        is_mirrored: whether they are the mean with those of the mirror image.
        crop: how a picture is cut before it is encoded.
    Attributes:
        dims: width of each encoder's features.
        dim: width F of all of them.
    """

    def __init__(self, encoders: Sequence[ImageEncoder], is_mirrored: bool, crop: CropName, image: ImageSettings):
        self.encoders = tuple(encoders)
        self.is_mirrored = is_mirrored
        self.crop = crop
        self._limits = {size: _with_size(image, size, crop) for size in {e.image_size for e in encoders}}
        blanks = [np.zeros((1, e.image_size, e.image_size, 3), np.uint8) for e in self.encoders]
        self.dims = tuple(e.encode(blank).shape[1] for e, blank in zip(self.encoders, blanks, strict=True))
        self.dim = sum(self.dims)

    def decode(self, picture: bytes) -> dict[int, np.ndarray]:
        """Pixels of an encoded picture by image size, (size, size, 3) uint8.

        Raises:
            PictureError: the picture is broken or over a limit.
        """
        return {size: self._pixels(picture, size) for size in self._limits}

    def encode(self, pictures: Sequence[dict[int, np.ndarray]]) -> np.ndarray:
        """Decoded pictures to (N, F) float32."""
        return np.asarray(self.encode_views(pictures, 2 if self.is_mirrored else 1).mean(axis=1), np.float32)

    def encode_views(self, pictures: Sequence[dict[int, np.ndarray]], num_views: int) -> np.ndarray:
        """Decoded pictures to (N, num_views, F) float32: the picture, and its mirror image."""
        parts = []
        for start in range(0, len(pictures), _BATCH):
            batch = pictures[start : start + _BATCH]
            parts.append(np.stack([self._encode_batch(batch, bool(view)) for view in range(num_views)], axis=1))
        return np.concatenate(parts) if parts else np.zeros((0, num_views, self.dim), np.float32)

    def unit(self, features: np.ndarray) -> np.ndarray:
        """(..., F) features, those of each encoder divided by their length, so that all count the same."""
        parts = np.split(features, np.cumsum(self.dims)[:-1], axis=-1)
        return np.concatenate([unit_length(part) for part in parts], axis=-1)

    def own(self, features: np.ndarray) -> np.ndarray | None:
        """The features of the bundle's own encoder among (N, F); None where it is not among the encoders."""
        parts = np.split(features, np.cumsum(self.dims)[:-1], axis=-1)
        found = [part for encoder, part in zip(self.encoders, parts, strict=True) if isinstance(encoder, OwnEncoder)]
        return found[0] if found else None

    def _encode_batch(self, batch: Sequence[dict[int, np.ndarray]], mirrors: bool) -> np.ndarray:
        parts = []
        for encoder in self.encoders:
            images = np.stack([pixels[encoder.image_size] for pixels in batch])
            parts.append(encoder.encode(np.ascontiguousarray(images[:, :, ::-1]) if mirrors else images))
        return np.concatenate(parts, axis=1)

    def _pixels(self, picture: bytes, size: int) -> np.ndarray:
        pixels = decode_picture(picture, self._limits[size])
        return pixels if self.crop == "none" else crop_to_product(pixels, size)


def open_encoders(
    bundle_dir: Path,
    descriptions: Sequence[EncoderDescription],
    image_size: int,
    encode_images: Callable[[np.ndarray], np.ndarray],
    threads: int = 0,
) -> list[ImageEncoder]:
    """Open the image encoders of an embedding.

    Args:
        image_size, encode_images: of the bundle's own.
    """
    return [
        OwnEncoder(image_size, encode_images)
        if entry.name == OWN_ENCODER
        else ProgramEncoder(bundle_dir / entry.program, entry.preprocessing, threads)
        for entry in descriptions
    ]


def named_output(outputs: dict[str, np.ndarray], name: str, where: Path) -> np.ndarray:
    """The output that holds vectors, (B, F) float32.

    Args:
        name: '' is the first.
    Raises:
        BundleError: there is no such output, or it holds no vectors.
    """
    name = name or next(iter(outputs))
    if name not in outputs:
        raise BundleError(f"{where}: expected an output {name!r}, found {', '.join(outputs)}; correct its TOML file")
    if outputs[name].ndim != 2:
        raise BundleError(
            f"{where}: expected vectors in the output {name!r}, found the shape {outputs[name].shape}; name the pooled"
            " one with output = in its TOML file"
        )
    return np.asarray(outputs[name], np.float32)


def decode_or_error(features: PictureFeatures, picture: bytes | PictureError) -> dict[int, np.ndarray] | PictureError:
    """Decode a picture and return its error as a value, for use in a pool."""
    if isinstance(picture, PictureError):
        return picture
    try:
        return features.decode(picture)
    except PictureError as error:
        return error


def _with_size(image: ImageSettings, size: int, crop: CropName) -> ImageSettings:
    return dataclasses.replace(image, image_size=size if crop == "none" else _CROP_SCALE * size)
