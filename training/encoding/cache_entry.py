"""A folder in the cache that appears only when all of it is written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.machine.whole_file import named_errors


@contextmanager
def new_cache_entry(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes its name when the block ends, and is removed when the block fails.

    Args:
        folder: its name in the end; must not exist then.
    Raises:
        OSError: the disk refuses, with a file name.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had the same id
    temporary.mkdir(parents=True)
    try:
        with named_errors(folder):
            yield temporary
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
