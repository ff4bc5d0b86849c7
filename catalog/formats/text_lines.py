"""Physical lines of a text file, gzipped or not, with bounded memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from catalog.formats.text_encoding import byte_order_mark, look_for_encoding
from model.errors import CatalogError

#: A longer line is truncated, so that a file without line ends does not exhaust the memory.
MAX_LINE_BYTES = 16 * 2**20


def text_lines(path: Path, codec: str = "") -> Iterator[str]:
    """Yield each line with its line end, without a byte-order mark.

    A byte that is not of the file's encoding becomes a lone surrogate (PEP 383), so that only its own row is affected.

    Args:
        codec: Python's name of the encoding; '' looks at the file.

    Raises:
        CatalogError: the file cannot be opened, its encoding is not known, or its gzip stream is damaged.
    """
    number = 0
    try:
        encoding, num_mark_bytes = encoding_of(path, codec)
        with _open(path) as file:
            file.read(num_mark_bytes)
            for line in _lines(file, encoding):
                number += 1
                yield line
    except (OSError, EOFError, zlib.error) as error:
        where = f"after line {number}" if number else "at its start"
        raise CatalogError(f"{path} cannot be read {where}: {error}; check the path or copy the file again") from error


def printable(text: str) -> str:
    """Replace bytes that are not UTF-8 and lone surrogates by escape sequences."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def encoding_of(path: Path, codec: str) -> tuple[str, int]:
    """The encoding of a file, gzipped or not, and the bytes of its mark.

    Args:
        codec: see `text_lines`.
    Raises:
        CatalogError: its encoding is not known, or another one than `codec`.
        OSError: the file cannot be read.
    """
    with _open(path) as file:
        # A BufferedReader has the same method; a byte-order mark has at most 3 bytes.
        mark, encoding = byte_order_mark(cast("gzip.GzipFile", file).peek(3)[:3])
        if codec and encoding and codec not in (encoding, "utf-16"):
            raise CatalogError(f"{path}: expected text in {codec}, found the mark of {encoding}; leave --encoding out")
        return encoding or codec or look_for_encoding(path, file), len(mark)


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    if encoding.startswith(("utf-16", "utf-32")):  # bytes of a line end may be a part of other characters
        with io.TextIOWrapper(file, encoding, "surrogatepass", newline="\n") as text:
            for line in iter(partial(text.readline, MAX_LINE_BYTES), ""):
                yield line
                if len(line) == MAX_LINE_BYTES and line[-1] != "\n":
                    _skip_rest_of_line(text, "\n")
        return
    for raw in iter(partial(file.readline, MAX_LINE_BYTES), b""):
        yield raw.decode(encoding, "surrogateescape")
        if len(raw) == MAX_LINE_BYTES and raw[-1:] != b"\n":
            _skip_rest_of_line(file, b"\n")


def _skip_rest_of_line(file: IO[bytes] | IO[str], end: bytes | str) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and rest[-1:] != end:
        pass
