"""Image encoders that metric learning is asked to use, written into a bundle as ONNX programs."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras

from model.engines.export import export_program
from model.errors import SettingsError
from model.network.image_encoder import build_image_encoder, native_image_size
from model.settings import ImageSettings
from retrieval.embedding.description import FOLDER, OWN_ENCODER, EncoderDescription
from retrieval.embedding.preprocessing import PicturePreprocessing, TextPreprocessing, read_preprocessing
from training.encoding.cache_entry import new_cache_entry
from training.encoding.file_lock import exclusive

_PROGRAM = "image_encoder.onnx"


def add_backbones(
    folder: Path, backbones: Sequence[str], image_encoder: Path | None, cache_dir: Path
) -> tuple[tuple[EncoderDescription, ...], TextPreprocessing | None]:
    """Write image encoders into the folder of a bundle.

    Args:
        folder: of the bundle.
        backbones: OWN_ENCODER, EfficientNetLite1 or 2, a backbone of keras.applications, or NAME=WEIGHTS with a
            .weights.h5 or .keras file.
        image_encoder: an ONNX file with its preprocessing in a TOML file beside it.
        cache_dir: keeps what was converted.
    Returns:
        the encoders, and the text tower that came with `image_encoder`.
    Raises:
        SettingsError: a backbone is unknown, its weights cannot be had, or a file is missing or wrong.
    """
    found = []
    for backbone in backbones:
        if backbone == OWN_ENCODER:
            found.append(EncoderDescription())
            continue
        name, _, weights = backbone.partition("=")
        program = _converted(name, weights, cache_dir)
        preprocessing = PicturePreprocessing(native_image_size(name))
        found.append(EncoderDescription(name, _copied(program, folder, name), preprocessing))
    text = None
    if image_encoder is not None:
        own, text = _brought(folder, image_encoder)
        found.append(own)
    return tuple(found), text


def _converted(name: str, weights: str, cache_dir: Path) -> Path:
    """The ONNX program of a backbone, from the cache or made now."""
    digest = hashlib.sha256(f"{name} {native_image_size(name)}".encode())
    if weights:
        try:
            digest.update(Path(weights).read_bytes())
        except OSError as error:
            raise SettingsError(f"--backbones {name}={weights} cannot be read: {error.strerror}") from error
    folder = cache_dir / "backbones" / f"{name}-{digest.hexdigest()[:16]}"
    with exclusive(cache_dir / "locks" / folder.name):
        if not folder.exists():
            with new_cache_entry(folder) as entry:
                _export(build_backbone(f"{name}={weights}")[0], entry / _PROGRAM)
    return folder / _PROGRAM


def build_backbone(backbone: str) -> tuple[keras.Model, ImageSettings]:
    """An image encoder of Keras by NAME or NAME=WEIGHTS, and the settings that it was built with.

    Raises:
        SettingsError: it is unknown, or its weights cannot be had.
    """
    name, _, weights = backbone.partition("=")
    image = ImageSettings(name, native_image_size(name), weights or "imagenet")
    return build_image_encoder(image, seed=0), image


def write_encoder(encoder: keras.Model, image_size: int, folder: Path, name: str) -> EncoderDescription:
    """Write an image encoder of Keras into the folder of a bundle as an ONNX program."""
    target = folder / FOLDER / name / _PROGRAM
    target.parent.mkdir(parents=True, exist_ok=True)
    _export(encoder, target)
    return EncoderDescription(name, f"{FOLDER}/{name}/{_PROGRAM}", PicturePreprocessing(image_size))


def _export(encoder: keras.Model, target: Path) -> None:
    source = target.with_suffix(".keras")
    encoder.save(source)
    export_program(source, target)
    source.unlink()


def _copied(program: Path, folder: Path, name: str) -> str:
    """Copy a program and the weights beside it into a bundle; returns its path there."""
    target = folder / FOLDER / name
    target.mkdir(parents=True, exist_ok=True)
    for path in program.parent.glob(f"{program.name}*"):
        shutil.copyfile(path, target / path.name)
    return f"{FOLDER}/{name}/{program.name}"


def _brought(folder: Path, image_encoder: Path) -> tuple[EncoderDescription, TextPreprocessing | None]:
    """An encoder of the shop's own, with its text tower."""
    if not image_encoder.is_file():
        raise SettingsError(f"--image-encoder {image_encoder}: expected an ONNX file, found none; check the path")
    picture, text = read_preprocessing(image_encoder.with_suffix(".toml"))
    name = image_encoder.stem
    description = EncoderDescription(name, _copied(image_encoder, folder, name), picture)
    if text is None:
        return description, None
    program = image_encoder.parent / text.program
    tokenizer = image_encoder.parent / text.tokenizer
    for path in (program, tokenizer):
        if not path.is_file():
            raise SettingsError(f"{image_encoder.with_suffix('.toml')}: [text]: {path} is missing; correct the path")
    _copied(program, folder, name)
    shutil.copyfile(tokenizer, folder / FOLDER / name / tokenizer.name)
    return description, TextPreprocessing(
        f"{name}/{program.name}", f"{name}/{tokenizer.name}", text.num_tokens, text.output
    )
