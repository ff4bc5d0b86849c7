"""Puts a finished folder in the place of another, so that at every moment one of them is there."""

import ctypes
import os
import shutil
from pathlib import Path

#: Of renameat2(2): paths are relative to the working folder; the two exchange their names in one step.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def put_in_place(folder: Path, target: Path) -> None:
    """Give a folder the name of another, which is removed.

    Raises:
        OSError: the disk refused; the older folder is where it was.
    """
    if not target.exists():
        folder.rename(target)
        return
    try:
        _exchange(folder, target)
    except OSError:  # a network disk, or no Linux: between two renames there is a moment without either
        older = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(older)
        folder.rename(target)
        folder = older
    shutil.rmtree(folder)


def _exchange(one: Path, other: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError("this system cannot exchange names")
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
