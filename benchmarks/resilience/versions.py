"""Versions of a model on disk: copies with different answers, truncated copies, and a small disk."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.bundle_files import FILES


def write_version(bundle: Path, version: Path, temperature_factor: float = 1.0) -> Path:
    """Copy a bundle as training does: to a temporary folder, then renamed.

    Args:
        temperature_factor: changes the temperature of the copy, and so all its probabilities.
    """
    temporary = version.with_name(f".{version.name}.tmp")
    shutil.copytree(bundle, temporary)
    calibration = json.loads((temporary / FILES.calibration).read_text(encoding="utf-8"))
    calibration["formula"]["temperature"] *= temperature_factor
    text = json.dumps(calibration)
    (temporary / FILES.calibration).write_text(text, encoding="utf-8")
    manifest = json.loads((temporary / FILES.manifest).read_text(encoding="utf-8"))
    manifest["files"][FILES.calibration] = hashlib.sha256(text.encode()).hexdigest()
    (temporary / FILES.manifest).write_text(json.dumps(manifest), encoding="utf-8")
    return temporary.rename(version)


def copy_in_place(source: Path, target: Path, max_bytes: int | None = None) -> None:
    """Copy file by file to the final folder, the manifest first: the worst way to add a version.

    Args:
        max_bytes: limit after which a file is truncated and further ones are omitted; None has no limit.
    Raises:
        OSError: the disk is full.
    """
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    files.sort(key=lambda file: file.name != FILES.manifest)
    left = max_bytes
    for file in files:
        content = file.read_bytes()[:left]
        path = target / file.relative_to(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if left is not None:
            left -= len(content)
            if left <= 0:
                return


def size_bytes(folder: Path) -> int:
    """Return the size of all files of a folder, bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[bool]:
    """Mount a tmpfs of a fixed size at a folder; yields False, without mounting, where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    is_mounted = os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder))
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow_disk(folder: Path, num_bytes: int) -> None:
    """Change the size of a small disk.

    Raises:
        OSError: it is not permitted.
    """
    if not _mount("-o", f"remount,size={num_bytes}", str(folder)):
        raise OSError(f"{folder} cannot be resized to {num_bytes} bytes")


def _mount(*arguments: str) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
