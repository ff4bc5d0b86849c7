"""Pixels as an image encoder wants them, as its own small TOML file says."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from model.errors import SettingsError
from tokenizer.errors import require


@dataclass(frozen=True)
class PicturePreprocessing:
    """Turns square RGB pixels into the input of a program; the defaults suit one that takes pixels as they are."""

    image_size: int = 224
    """Height and width of the pictures, pixels."""
    dtype: Literal["uint8", "float32"] = "uint8"
    """Type of the input."""
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    """Order of its axes: batch, height, width, channels."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Subtracted from red, green and blue, which are 0 to 255."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Divides what is left, after `mean`."""
    output: str = ""
    """Name of the output that holds the vectors; '' is the first one."""

    def __post_init__(self) -> None:
        require(self.image_size >= 1, "image_size", "1 or more", self.image_size)
        for name in ("mean", "std"):
            require(len(getattr(self, name)) == 3, name, "3 numbers", getattr(self, name))
        require(all(value > 0 for value in self.std), "std", "numbers above 0", self.std)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to the program's input."""
        given = images
        if self.dtype == "float32":
            given = (images.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(given.transpose(0, 3, 1, 2) if self.layout == "NCHW" else given)


@dataclass(frozen=True)
class TextPreprocessing:
    """Settings that turn texts into the input of a text tower."""

    program: str
    """Its ONNX file, relative to the TOML file."""
    tokenizer: str
    """tokenizer.json of Hugging Face's `tokenizers`, relative to the TOML file."""
    num_tokens: int = 64
    """Tokens that it reads; longer texts are cut, shorter ones are padded."""
    output: str = ""
    """Name of the output that holds the vectors; '' is the first one."""

    def __post_init__(self) -> None:
        require(self.num_tokens >= 1, "num_tokens", "1 or more", self.num_tokens)


def read_preprocessing(path: Path) -> tuple[PicturePreprocessing, TextPreprocessing | None]:
    """Read the TOML file of an image encoder; its table [text] describes a text tower.

    Raises:
        SettingsError: the file is missing, no TOML, or a value is unknown or wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}; write it beside the ONNX file, with at least image_size"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    text = values.pop("text", None)
    picture = _read(PicturePreprocessing, values, str(path))
    return picture, None if text is None else _read(TextPreprocessing, text, f"{path}: [text]")


def _read(kind: type, values: Any, where: str) -> Any:
    names = [entry.name for entry in dataclasses.fields(kind)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise SettingsError(f"{where}: unknown setting {unknown[0]!r}; the settings are {', '.join(names)}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as error:
        raise SettingsError(f"{where}: {error}; the settings are {', '.join(names)}") from error
