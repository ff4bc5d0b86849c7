"""A disk cache of fetched pictures, keyed by URL."""

import contextlib
import logging
import os
import threading
from hashlib import blake2b
from pathlib import Path

_log = logging.getLogger("aisle.pictures")


class PictureCache:
    """A cache with one file per URL; safe for threads and processes, because files appear only when complete."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._has_warned = False

    def get(self, url: str) -> bytes | None:
        """Return the picture stored for a URL, None without one."""
        try:
            return self._file(url).read_bytes() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"cannot be read: {error}; pictures are fetched again")
            return None

    def put(self, url: str, picture: bytes) -> None:
        """Store a picture; a full or read-only disk is logged once and does not fail the row."""
        file = self._file(url)
        partial = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(picture)
            partial.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            self._warn(f"cannot be written: {error}; fetched pictures are not cached")

    def _file(self, url: str) -> Path:
        name = blake2b(url.encode(), digest_size=16).hexdigest()
        return self.folder / name[:2] / name  # 256 folders limit the size of each

    def _warn(self, problem: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("picture cache %s %s", self.folder, problem)
