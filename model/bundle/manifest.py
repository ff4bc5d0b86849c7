"""The manifest of a bundle: its format version and a SHA-256 of every file."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from model.bundle_files import FILES
from model.errors import BundleError
from model.machine.cores import usable_cores

#: Format of the bundles that this program writes and reads; raised with every change of their files' meaning.
FORMAT_VERSION = 3


def verify_bundle(path: Path) -> None:
    """Check format version, presence and SHA-256 of every file.

    Raises:
        BundleError: names the first file that is wrong and says how.
    """
    if not (path / FILES.manifest).exists():
        raise BundleError(f"{path} is no bundle: {FILES.manifest} is missing; give the folder that --bundle wrote")
    manifest = read_json(path, FILES.manifest)
    whole = isinstance(manifest, dict) and isinstance(manifest.get("files"), dict)
    version = manifest.get("format_version") if whole else None
    if not isinstance(version, int):
        raise BundleError(
            f"{path / FILES.manifest} is damaged: format_version or files is missing; copy or write the bundle again"
        )
    if version != FORMAT_VERSION:
        remedy = "upgrade Aisle" if version > FORMAT_VERSION else "train the bundle again with this version of Aisle"
        raise BundleError(
            f"{path / FILES.manifest} has format {version}, this program reads format {FORMAT_VERSION}; {remedy}"
        )
    files: dict[str, str] = manifest["files"]
    for name in files:
        if not (path / name).is_file():
            raise BundleError(f"bundle {path} is incomplete: {name} is missing; copy or write the bundle again")
    with ThreadPoolExecutor(usable_cores()) as pool:
        digests = pool.map(lambda name: _sha256(path / name), files)
        for (name, expected), found in zip(files.items(), digests, strict=True):
            if found != expected:
                raise BundleError(
                    f"bundle {path} is damaged: {name} has SHA-256 {found[:12]}..., the manifest says"
                    f" {expected[:12]}...; copy or write the bundle again"
                )


def write_manifest(folder: Path) -> None:
    """Describe the files that lie in a folder."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    manifest = {"format_version": FORMAT_VERSION, "files": {name: _sha256(folder / name) for name in names}}
    (folder / FILES.manifest).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_json(folder: Path, name: str) -> Any:
    """A document of a bundle.

    Raises:
        BundleError: it is missing or damaged.
    """
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
