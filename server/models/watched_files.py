"""Small files that are read again when they change, such as certificates, keys and tokens."""

from pathlib import Path


class WatchedFiles:
    """A set of files that are read together when one of them changes."""

    def __init__(self, *paths: Path):
        self._paths = paths
        self._stamps: list[tuple[int, int, int] | None] = []

    def read_if_changed(self) -> list[bytes] | None:
        """Return the contents, in order; None when no file has changed since the last call.

        A file that is replaced while it is read is read again by the next call.

        Raises:
            OSError: a file cannot be read; once for each change.
        """
        stamps = [_stamp(path) for path in self._paths]
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        return [path.read_bytes() for path in self._paths]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
