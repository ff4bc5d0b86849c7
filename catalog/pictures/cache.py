"""Fetched pictures on disk, found again by their URL."""

import contextlib
import logging
import os
import threading
from hashlib import blake2b
from pathlib import Path

_log = logging.getLogger("aisle.pictures")


class PictureCache:
    """One file a URL; thread-safe, and safe between processes because a file appears only when it is whole."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._has_warned = False

    def get(self, url: str) -> bytes | None:
        """The picture stored for a URL, None when there is none."""
        try:
            return self._file(url).read_bytes() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"cannot be read: {error}; pictures are fetched again")
            return None

    def put(self, url: str, picture: bytes) -> None:
        """Store a picture; a full or read-only disk is logged once and costs no row."""
        file = self._file(url)
        partial = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(picture)
            partial.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            self._warn(f"cannot be written: {error}; fetched pictures are not kept")

    def _file(self, url: str) -> Path:
        name = blake2b(url.encode(), digest_size=16).hexdigest()
        return self.folder / name[:2] / name  # 256 folders keep each small

    def _warn(self, what: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("picture cache %s %s", self.folder, what)
