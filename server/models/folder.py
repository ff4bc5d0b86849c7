"""Scans a folder of models/<name>/<version>/."""

import errno
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
        fingerprint: changes when a file is added, removed, written or made readable.
    """

    name: str
    version: str
    path: Path
    fingerprint: Fingerprint


@dataclass(frozen=True)
class FolderScan:
    """The versions that have a manifest, and the folders that could not be read.

    Args:
        versions: by model name, the newest first.
        unreadable: the reason by folder; the state of a model in it is unknown. Links that lead back to themselves
            are listed, too.
    """

    versions: dict[str, list[VersionFolder]] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)


def scan_models(models_dir: Path) -> FolderScan:
    """Scan a folder of models; hidden and temporary folders (".name") are skipped.

    Never raises OSError: a folder that cannot be read is listed in the result.
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
    """Return a sort key that orders versions by their numbers: '9' before '10', 'v1.9' before 'v1.10', words first."""
    parts = re.findall(r"\d+|\D+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of the current files of one version; never raises OSError."""
    return tuple((str(file.relative_to(path)), *_stat(file)) for file in sorted(path.rglob("*")) if not file.is_dir())


def _stat(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except OSError as error:  # it was removed during the scan, or may not be read
        return (error.errno or 0,)
    return (stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)


def _folders(parent: Path, scan: FolderScan) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return [parent / entry.name for entry in entries if entry.name[0] != "." and _is_folder(entry, scan)]
    except OSError as error:
        scan.unreadable[parent] = error.strerror or str(error)
        return []


def _is_folder(entry: os.DirEntry[str], scan: FolderScan) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        # A link that leads back to itself can be no version, and says nothing about those beside it.
        scan.unreadable[Path(entry.path)] = error.strerror or str(error)
        return False


def _may_have_manifest(path: Path) -> bool:
    try:
        (path / FILES.manifest).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may be there: loading reports the error, and the version does not count as removed
        return True
    return True
