"""A bundle on disk: all that serving needs, nothing that executes code."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.bundle.manifest import read_json, verify_bundle
from model.bundle_files import FILES
from model.errors import BundleError
from model.prediction.calibration import Calibration
from model.preprocessor import Preprocessor
from model.settings import Settings, settings_from_dict
from model.taxonomy import Taxonomy
from tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from model.prediction.neighbors import NeighborIndex


@dataclass(frozen=True)
class Bundle:
    """A bundle read into memory, weights excepted; an engine opens those.

    Args:
        fields: the fields this model reads, in the order of its presence flags.
        heads: its softmax heads, "joint" last.
        image_feature_dim: width of the picture features; 0 without a picture branch.
    """

    path: Path
    name: str
    version: str
    settings: Settings
    taxonomy: Taxonomy
    calibration: Calibration
    fields: tuple[str, ...]
    heads: tuple[str, ...]
    image_feature_dim: int
    metrics: dict[str, Any]
    history: list[dict[str, Any]]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded on first use."""
        return Tokenizer.load(self.path / FILES.tokenizer)

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """Products to this model's inputs."""
        return Preprocessor(self.tokenizer, self.fields, self.settings.image, self.image_feature_dim)

    @cached_property
    def neighbors(self) -> "NeighborIndex | None":
        """The index of training products that the joint formula asks, loaded on first use; None without one.

        Raises:
            BundleError: its file cannot be read.
        """
        path = self.path / FILES.neighbors
        if not path.exists():
            return None
        from model.prediction.neighbors import NeighborIndex  # needs SciPy, which other bundles do without

        return NeighborIndex.load(path)


def bundle_identity(path: Path) -> tuple[str, str]:
    """Name and version: `models/<name>/<version>/` by its folders, any other folder by its name and '1'."""
    resolved = path.resolve()
    return (resolved.parent.name, resolved.name) if resolved.name.isdigit() else (resolved.name, "1")


def load_bundle(path: Path) -> Bundle:
    """Verify and read a bundle.

    Raises:
        BundleError: missing, damaged or of another format; the text names the file.
    """
    verify_bundle(path)
    description = read_json(path, FILES.description)
    identity = bundle_identity(path)
    return Bundle(
        path=path,
        name=identity[0],
        version=identity[1],
        settings=settings_from_dict(read_json(path, FILES.settings), str(path / FILES.settings)),
        taxonomy=Taxonomy.from_dict(read_json(path, FILES.taxonomy)),
        calibration=_read_calibration(path),
        fields=tuple(description["fields"]),
        heads=tuple(description["heads"]),
        image_feature_dim=description["image_feature_dim"],
        metrics=read_json(path, FILES.metrics),
        history=read_json(path, FILES.history),
    )


def _read_calibration(path: Path) -> Calibration:
    try:
        return Calibration.from_dict(read_json(path, FILES.calibration))
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"{path / FILES.calibration} is damaged: {error!r}; copy or write the bundle again"
        ) from error
