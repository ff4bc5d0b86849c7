"""Writes bundles: into a temporary folder, verified, then renamed, so that a bundle is whole or not there."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.bundle.manifest import verify_bundle, write_manifest
from model.bundle_files import FILES
from model.errors import BundleError
from model.prediction.calibration import Calibration
from model.settings import Settings, settings_to_dict
from model.taxonomy import Taxonomy
from tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class BundleContents:
    """Documents that `write_bundle` stores beside the weights and the tokenizer; see `model.bundle.bundle.Bundle`."""

    settings: Settings
    taxonomy: Taxonomy
    calibration: Calibration
    fields: tuple[str, ...]
    heads: tuple[str, ...]
    image_feature_dim: int
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    model_card: str


def write_bundle(
    path: Path, contents: BundleContents, tokenizer: Tokenizer, write_programs: Callable[[Path], None]
) -> None:
    """Write a bundle to `path`, which appears only when it is whole; an older bundle there is replaced.

    Args:
        write_programs: writes the Keras, OpenVINO and ONNX programs into the folder it is given.
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


def rewrite_descriptions(
    folder: Path, taxonomy: Taxonomy, calibration: Calibration, metrics: dict[str, Any], model_card: str
) -> None:
    """Put these in the place of a bundle's own; to be called from `derive_bundle`'s `change`."""
    documents = {
        FILES.taxonomy: taxonomy.to_dict(),
        FILES.calibration: calibration.to_dict(),
        FILES.metrics: metrics,
    }
    _write_documents(folder, documents)
    (folder / FILES.model_card).write_text(model_card, encoding="utf-8")


def check_bundle_target(path: Path) -> None:
    """Raise BundleError when `path` is taken by something that is no bundle."""
    if path.exists() and not (path / FILES.manifest).exists() and (not path.is_dir() or any(path.iterdir())):
        raise BundleError(f"{path} exists and is no bundle; choose another folder or remove it")


def _write_whole(path: Path, fill: Callable[[Path], None]) -> None:
    """Through a temporary folder beside `path`."""
    check_bundle_target(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        write_manifest(temporary)
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
        FILES.calibration: contents.calibration.to_dict(),
        FILES.metrics: contents.metrics,
        FILES.history: contents.history,
    }
    _write_documents(folder, documents)
    (folder / FILES.model_card).write_text(contents.model_card, encoding="utf-8")


def _write_documents(folder: Path, documents: dict[str, Any]) -> None:
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename; an older bundle moves aside first and goes when the new one stands."""
    if not path.exists():
        temporary.rename(path)
        return
    older = path.with_name(f".{path.name}.{os.getpid()}.old")
    path.rename(older)
    temporary.rename(path)
    shutil.rmtree(older)
