"""What lies in a folder of models/<name>/<version>/ at one moment."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from model.bundle_files import FILES

#: (path, size, inode, modified, changed) of every file of a version; (path, error number) of one that cannot be read.
Fingerprint = tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True)
class VersionFolder:
    """One version on disk.

    Args:
        fingerprint: differs when a file was added, removed, written or made readable.
    """

    name: str
    version: str
    path: Path
    fingerprint: Fingerprint


@dataclass(frozen=True)
class FolderScan:
    """The versions that have a manifest, and what could not be looked at.

    Args:
        versions: by model name, the newest first.
        unreadable: folder to reason; of a model in here nothing is known.
    """

    versions: dict[str, list[VersionFolder]] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)


def scan_models(models_dir: Path) -> FolderScan:
    """Look at a folder of models; temporary and hidden folders (".name") are passed over.

    Never raises OSError: a folder that cannot be read is named in the answer.
    """
    scan = FolderScan()
    for model_dir in _folders(models_dir, scan):
        versions = [
            VersionFolder(model_dir.name, path.name, path, fingerprint(path))
            for path in _folders(model_dir, scan)
            if _may_have_manifest(path)
        ]
        if versions:
            scan.versions[model_dir.name] = sorted(versions, key=lambda v: version_key(v.version), reverse=True)
    return scan


def version_key(version: str) -> list[tuple[bool, int, str]]:
    """Sorts versions by the numbers in them: '9' before '10', 'v1.9' before 'v1.10', words before numbers."""
    parts = re.findall(r"\d+|\D+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def fingerprint(path: Path) -> Fingerprint:
    """Of the files of one version as they are now; never raises OSError."""
    return tuple((str(file.relative_to(path)), *_stat(file)) for file in sorted(path.rglob("*")) if not file.is_dir())


def _stat(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except OSError as error:  # it went while we looked, or may not be looked at
        return (error.errno or 0,)
    return (stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)


def _folders(parent: Path, scan: FolderScan) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return [parent / entry.name for entry in entries if entry.name[0] != "." and entry.is_dir()]
    except OSError as error:
        scan.unreadable[parent] = error.strerror or str(error)
        return []


def _may_have_manifest(path: Path) -> bool:
    try:
        (path / FILES.manifest).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may well be there: loading says what is wrong, and nobody takes it for removed
        return True
    return True
