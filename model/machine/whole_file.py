"""Files that are whole or not there, and errors that name them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Name a file, or the folder of several, in the errors of those who write it; those of a full disk name none.

    Raises:
        OSError: with a file name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        # NumPy says how much it wrote, and no number.
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file beside `path`, with the same ending, that takes its name when the block is through.

    Raises:
        OSError: the disk refuses, with a file name; what was there stays.
    """
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with named_errors(path):
            yield aside
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
