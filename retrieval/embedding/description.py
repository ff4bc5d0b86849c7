"""The description of a bundle's embedding: image encoders, crop, projection, text tower; in its folder `retrieval/`."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.bundle.manifest import read_json
from model.bundle_files import FILES
from model.errors import BundleError
from retrieval.embedding.crop import CropName
from retrieval.embedding.preprocessing import PicturePreprocessing, TextPreprocessing

#: Folder of a bundle that has an embedding of its own.
FOLDER = "retrieval"
EMBEDDING_FILE = f"{FOLDER}/embedding.json"
PROJECTION_FILE = f"{FOLDER}/projection.npz"
#: The bundle's own image encoder, which the classifier reads, too.
OWN_ENCODER = "bundle"
_FORMAT_VERSION = 1
#: Files of a bundle that decide what a product's vectors are.
_DECIDING = ("keras/", "tokenizer/", f"{FOLDER}/", FILES.settings)


@dataclass(frozen=True)
class EncoderDescription:
    """An image encoder.

    Args:
        name: for people; OWN_ENCODER is the bundle's own.
        program: its ONNX file in the bundle; '' for the bundle's own.
    """

    name: str = OWN_ENCODER
    program: str = ""
    preprocessing: PicturePreprocessing = field(default_factory=PicturePreprocessing)


@dataclass(frozen=True)
class EmbeddingDescription:
    """A bundle's embedding; the defaults are those of a bundle without metric learning.

    Args:
        is_mirrored: whether a picture's vector is the mean with that of its mirror image.
        has_projection: whether PROJECTION_FILE is there.
        text: the text tower, with paths in the bundle; None is the classifier.
        text_weight: weight of the text vector in the joint one, 0 to 1, where both are of one space.
        trained: how metric learning was done and what it measured; empty without.
    """

    image_encoders: tuple[EncoderDescription, ...] = (EncoderDescription(),)
    is_mirrored: bool = False
    crop: CropName = "none"
    has_projection: bool = False
    text: TextPreprocessing | None = None
    text_weight: float = 0.5
    trained: dict[str, Any] = field(default_factory=dict)


def read_embedding(bundle_dir: Path) -> EmbeddingDescription:
    """Read a bundle's embedding; the default one where it has none of its own.

    Raises:
        BundleError: its file is damaged or of another format.
    """
    path = bundle_dir / EMBEDDING_FILE
    if not path.exists():
        return EmbeddingDescription()
    values = read_json(bundle_dir, EMBEDDING_FILE)
    try:
        if values.pop("format_version") != _FORMAT_VERSION:
            raise BundleError(f"{path} is of another format; train the embedding again with this version of Aisle")
        encoders = tuple(
            EncoderDescription(entry["name"], entry["program"], _picture(entry["preprocessing"]))
            for entry in values.pop("image_encoders")
        )
        text = values.pop("text")
        return EmbeddingDescription(encoders, text=None if text is None else TextPreprocessing(**text), **values)
    except (AttributeError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is damaged: {error!r}; copy or write the bundle again") from error


def write_embedding(bundle_dir: Path, embedding: EmbeddingDescription) -> None:
    """Write a bundle's embedding, without the files that it names."""
    path = bundle_dir / EMBEDDING_FILE
    path.parent.mkdir(exist_ok=True)
    values = {"format_version": _FORMAT_VERSION, **dataclasses.asdict(embedding)}
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")


def embedding_checksum(bundle_dir: Path, crop: CropName) -> str:
    """SHA-256 of all that decides what a product's vectors are, hexadecimal: equal for bundles with equal vectors."""
    files: dict[str, str] = read_json(bundle_dir, FILES.manifest)["files"]
    deciding = {name: digest for name, digest in files.items() if name.startswith(_DECIDING)}
    return hashlib.sha256(json.dumps([crop, deciding], sort_keys=True).encode()).hexdigest()


def _picture(values: dict[str, Any]) -> PicturePreprocessing:
    lists = {name: tuple(values[name]) for name in ("mean", "std")}
    return PicturePreprocessing(**{**values, **lists})
