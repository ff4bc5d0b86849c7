"""A bundle on disk: all that serving needs, nothing that executes code.

Written to a temporary folder, verified and renamed; `manifest.json` holds a SHA-256 of every file.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from model.bundle.files import FILES
from model.errors import BundleError
from model.machine.throttle import Throttle
from model.prediction.answers import Calibration
from model.preprocessor import Preprocessor
from model.settings import Settings, settings_from_dict, settings_to_dict
from model.taxonomy import Taxonomy
from tokenizer.tokenizer import Tokenizer

FORMAT_VERSION = 1


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


@dataclass(frozen=True)
class BundleContents:
    """What `write_bundle` stores beside the weights and the tokenizer; see `Bundle`."""

    settings: Settings
    taxonomy: Taxonomy
    calibration: Calibration
    fields: tuple[str, ...]
    heads: tuple[str, ...]
    image_feature_dim: int
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    model_card: str


def bundle_identity(path: Path) -> tuple[str, str]:
    """Name and version: `models/<name>/<version>/` by its folders, any other folder by its name and '1'."""
    resolved = path.resolve()
    return (resolved.parent.name, resolved.name) if resolved.name.isdigit() else (resolved.name, "1")


def write_bundle(
    path: Path, contents: BundleContents, tokenizer: Tokenizer, write_programs: Callable[[Path], None]
) -> None:
    """Write a bundle to `path`, which appears only when it is whole; an older bundle there is replaced.

    Args:
        write_programs: writes the Keras and OpenVINO programs into the folder it is given.
    Raises:
        BundleError: `path` holds something that is no bundle, or the disk refused a write.
    """

    def fill(folder: Path) -> None:
        _write_descriptions(folder, contents)
        tokenizer.save(folder / FILES.tokenizer)
        write_programs(folder)

    _write_whole(path, fill)


def derive_bundle(source: Path, target: Path, change: Callable[[Path], None]) -> None:
    """Write a verified bundle's copy with changes to `target`, which appears only when it is whole.

    Args:
        change: adds to or edits the files in the folder that it is given.
    Raises:
        BundleError: the source is damaged, `target` holds something that is no bundle or is the source itself, or
            the disk refused a write.
    """
    if target.resolve() == source.resolve():
        raise BundleError(f"expected another folder than the bundle's own, found {target}; give a new one")
    verify_bundle(source)

    def fill(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(FILES.manifest))
        change(folder)

    _write_whole(target, fill)


def rewrite_descriptions(folder: Path, taxonomy: Taxonomy, calibration: Calibration, metrics: dict[str, Any]) -> None:
    """Put these in the place of a bundle's own; to be called from `derive_bundle`'s `change`."""
    documents = {
        FILES.taxonomy: taxonomy.to_dict(),
        FILES.calibration: dataclasses.asdict(calibration),
        FILES.metrics: metrics,
    }
    _write_documents(folder, documents)


def check_bundle_target(path: Path) -> None:
    """Raise BundleError when `path` is taken by something that is no bundle."""
    if path.exists() and not (path / FILES.manifest).exists() and (not path.is_dir() or any(path.iterdir())):
        raise BundleError(f"{path} exists and is no bundle; choose another folder or remove it")


def load_bundle(path: Path, throttle: Throttle | None = None) -> Bundle:
    """Verify and read a bundle.

    Args:
        throttle: between its files, for who reads beside other work; then no two are read at the same time.
    Raises:
        BundleError: missing, damaged or of a newer format; the text names the file.
    """
    verify_bundle(path, throttle)
    description = _read_json(path, FILES.description)
    calibration = _read_json(path, FILES.calibration)
    for name in ("thresholds", "coverages", "unproven"):
        calibration[name] = tuple(calibration.get(name, ()))
    by_subset = calibration.get("subset_thresholds", {})
    calibration["subset_thresholds"] = {names: tuple(thresholds) for names, thresholds in by_subset.items()}
    identity = bundle_identity(path)
    return Bundle(
        path=path,
        name=identity[0],
        version=identity[1],
        settings=settings_from_dict(_read_json(path, FILES.settings), str(path / FILES.settings)),
        taxonomy=Taxonomy.from_dict(_read_json(path, FILES.taxonomy)),
        calibration=Calibration(**calibration),
        fields=tuple(description["fields"]),
        heads=tuple(description["heads"]),
        image_feature_dim=description["image_feature_dim"],
        metrics=_read_json(path, FILES.metrics),
        history=_read_json(path, FILES.history),
    )


def verify_bundle(path: Path, throttle: Throttle | None = None) -> None:
    """Check format version, presence and SHA-256 of every file.

    Args:
        throttle: see `load_bundle`.
    Raises:
        BundleError: names the first file that is wrong and says how.
    """
    if not (path / FILES.manifest).exists():
        raise BundleError(f"{path} is no bundle: {FILES.manifest} is missing; give the folder that --bundle wrote")
    manifest = _read_json(path, FILES.manifest)
    whole = isinstance(manifest, dict) and isinstance(manifest.get("files"), dict)
    version = manifest.get("format_version") if whole else None
    if not isinstance(version, int):
        raise BundleError(
            f"{path / FILES.manifest} is damaged: format_version or files is missing; copy or write the bundle again"
        )
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{path / FILES.manifest} has format {version}, this program reads up to {FORMAT_VERSION}; upgrade Aisle"
        )
    files: dict[str, str] = manifest["files"]
    for name in files:
        if not (path / name).is_file():
            raise BundleError(f"bundle {path} is incomplete: {name} is missing; copy or write the bundle again")
    throttle = throttle or Throttle()

    def digest(name: str) -> str:
        found = _sha256(path / name)
        throttle.pause()
        return found

    with ThreadPoolExecutor(1 if throttle.is_active else None) as pool:
        digests = pool.map(digest, files)
        for (name, expected), found in zip(files.items(), digests, strict=True):
            if found != expected:
                raise BundleError(
                    f"bundle {path} is damaged: {name} has SHA-256 {found[:12]}..., the manifest says"
                    f" {expected[:12]}...; copy or write the bundle again"
                )


def _write_whole(path: Path, fill: Callable[[Path], None]) -> None:
    """Through a temporary folder beside `path`."""
    check_bundle_target(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        _write_manifest(temporary)
        verify_bundle(temporary)
        _put_in_place(temporary, path)
    except OSError as error:
        raise BundleError(
            f"bundle {path} could not be written: {error}; free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_descriptions(folder: Path, contents: BundleContents) -> None:
    description = {
        "fields": contents.fields,
        "heads": contents.heads,
        "image_feature_dim": contents.image_feature_dim,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    documents = {
        FILES.description: description,
        FILES.settings: settings_to_dict(contents.settings),
        FILES.taxonomy: contents.taxonomy.to_dict(),
        FILES.calibration: dataclasses.asdict(contents.calibration),
        FILES.metrics: contents.metrics,
        FILES.history: contents.history,
    }
    _write_documents(folder, documents)
    (folder / FILES.model_card).write_text(contents.model_card, encoding="utf-8")


def _write_documents(folder: Path, documents: dict[str, Any]) -> None:
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_manifest(folder: Path) -> None:
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    manifest = {"format_version": FORMAT_VERSION, "files": {name: _sha256(folder / name) for name in names}}
    (folder / FILES.manifest).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename; an older bundle moves aside first and goes when the new one stands."""
    if not path.exists():
        temporary.rename(path)
        return
    older = path.with_name(f".{path.name}.{os.getpid()}.old")
    path.rename(older)
    temporary.rename(path)
    shutil.rmtree(older)


def _read_json(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(
            f"{folder / name} cannot be read: {error.strerror}; copy or write the bundle again"
        ) from error
    except ValueError as error:
        raise BundleError(f"{folder / name} is damaged: {error}; copy or write the bundle again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
