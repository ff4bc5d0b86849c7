"""Physical lines of a UTF-8 text file, gzipped or not, with bounded memory."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from model.errors import CatalogError

#: A longer line is truncated, so that a file without line ends does not exhaust the memory.
MAX_LINE_BYTES = 16 * 2**20

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_lines(path: Path) -> Iterator[str]:
    """Yield each line with its line end, without a byte-order mark.

    A byte that is not UTF-8 becomes a lone surrogate (PEP 383), so that only its own row is affected.

    Raises:
        CatalogError: the file cannot be opened, is UTF-16, or its gzip stream is damaged.
    """
    number = 0
    try:
        with _open(path) as file:
            _skip_mark(path, file)
            for line in iter(partial(file.readline, MAX_LINE_BYTES), b""):
                number += 1
                if len(line) == MAX_LINE_BYTES and line[-1:] != b"\n":
                    _skip_rest_of_line(file)
                yield line.decode("utf-8", "surrogateescape")
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


def _skip_mark(path: Path, file: IO[bytes]) -> None:
    mark = cast("gzip.GzipFile", file).peek(3)[:3]  # a BufferedReader has the same method
    if mark[:2] in _UTF16_MARKS:
        raise CatalogError(f"{path}: expected UTF-8 text, found UTF-16; save the file as UTF-8")
    if mark == codecs.BOM_UTF8:
        file.read(len(mark))


def _skip_rest_of_line(file: IO[bytes]) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and rest[-1:] != b"\n":
        pass
