"""A catalog from standard input, kept in a file as commands read it more than once."""

import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from model.errors import SettingsError

#: Stands for standard input in place of a file.
STANDARD_INPUT = "-"
#: Name, without ending, of the file that keeps it.
KEPT_NAME = "standard-input"
#: Flags that name a catalog to read.
_CATALOG_FLAGS = ("--catalog", "--train", "--val", "--queries")
_FORMATS_BY_START = {b"PAR1": ".parquet", b"PK\x03\x04": ".xlsx", b"\xd0\xcf\x11\xe0": ".xls"}
_GZIP = b"\x1f\x8b"
_NUM_START_BYTES = 4096


@contextmanager
def catalog_from_standard_input(arguments: Sequence[str], stream: IO[bytes]) -> Iterator[list[str]]:
    """Replace '-' for a catalog among the arguments of a command by a file that lasts as long as the context.

    Args:
        stream: standard input.
    Raises:
        SettingsError: it is asked for twice, or cannot be kept.
    """
    asked = [position for position in range(len(arguments)) if _asks(arguments, position)]
    if not asked:
        yield list(arguments)
        return
    if len(asked) > 1:
        raise SettingsError("expected one catalog from standard input, found '-' twice; give the other one as a file")
    with tempfile.TemporaryDirectory(prefix="aisle-") as folder:
        path = _kept(stream, Path(folder))
        given = list(arguments)
        given[asked[0]] = given[asked[0]].removesuffix(STANDARD_INPUT) + str(path)
        yield given


def _asks(arguments: Sequence[str], position: int) -> bool:
    argument = arguments[position]
    if argument == STANDARD_INPUT:
        return position > 0 and arguments[position - 1] in _CATALOG_FLAGS
    return argument in [f"{flag}={STANDARD_INPUT}" for flag in _CATALOG_FLAGS]


def _kept(stream: IO[bytes], folder: Path) -> Path:
    start = stream.read(_NUM_START_BYTES)
    path = folder / f"{KEPT_NAME}{_ending(start)}"
    try:
        with path.open("wb") as file:
            file.write(start)
            shutil.copyfileobj(stream, file)
    except OSError as error:
        raise SettingsError(f"standard input cannot be kept in {path}: {error}; set TMPDIR to a larger disk") from error
    return path


def _ending(start: bytes) -> str:
    """The ending of a file that begins so; text that is no JSON is a table, whose delimiter is looked for."""
    if start.startswith(_GZIP):
        return f"{_ending(_unzipped(start))}.gz"
    for mark, ending in _FORMATS_BY_START.items():
        if start.startswith(mark):
            return ending
    return ".jsonl" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else ".csv"


def _unzipped(start: bytes) -> bytes:
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(start)).read1(_NUM_START_BYTES)
    except (OSError, EOFError, zlib.error):  # reported when the file is read
        return b""
