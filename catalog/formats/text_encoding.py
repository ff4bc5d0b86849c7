"""The encoding of a text file: by its byte-order mark, UTF-8, or what its bytes look like."""

import codecs
import logging
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import IO

from model.errors import CatalogError

#: Encodings besides UTF-8 that shops' files are in: Korean, Western and Central European, Cyrillic, Chinese, Japanese.
ENCODINGS = ("cp949", "cp1252", "cp1250", "cp1251", "gb18030", "big5", "cp932", "euc_jp")
#: Of these the first where they are as likely: its languages have more shops.
_ALPHABETS = ("cp1252", "cp1250", "cp1251")
#: Encodings of the characters that are in use, of those that have room for many more.
_USUAL_CHARACTERS = {"cp949": "euc_kr", "gb18030": "gb2312"}
_USUAL_SHARE, _BYTES_OF_USUAL = 0.9, 2
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MAX_LINES, _MAX_BYTES = 2_000, 64 * 2**20
_MAX_LINE_BYTES = 2**16
_ENOUGH_UTF8_SHARE = 0.5
_FEW_LINES = 3
#: Of mess in a text, 0 to 1 (charset-normalizer); texts closer than this are equally likely.
_CLEAR_DISTANCE = 0.03

_log = logging.getLogger("aisle.catalog")


def byte_order_mark(start: bytes) -> tuple[bytes, str]:
    """The byte-order mark at the start of a file, and the encoding that it names; two empty ones without a mark."""
    return next(((mark, encoding) for mark, encoding in _MARKS.items() if start.startswith(mark)), (b"", ""))


def look_for_encoding(path: Path, file: IO[bytes]) -> str:
    """The encoding of a file without a mark, by its first lines that are not ASCII.

    UTF-8 where half of these or more are, or where they are few and may be anything, so that bad bytes only cost their
    own rows; else one of ENCODINGS.

    Args:
        path: names the file in messages.
        file: at its start; read from.
    Raises:
        CatalogError: it is in none of them, or in one of several that are as likely.
    """
    lines = _telling_lines(file)
    if sum(map(_is_utf8, lines)) >= _ENOUGH_UTF8_SHARE * len(lines):
        return "utf-8"
    found = _likely_encodings(b"".join(lines))
    if len(found) == 1:
        _say(path, found[0])
        return found[0]
    if len(lines) < _FEW_LINES:
        return "utf-8"
    seems = f"text that may be {' or '.join(found)}" if found else "bytes of no encoding that is known here"
    raise CatalogError(f"{path}: expected UTF-8, found {seems}; name it with --encoding, or save the file as UTF-8")


@lru_cache
def _say(path: Path, encoding: str) -> None:
    _log.info("%s is not UTF-8; it is read as %s; if texts look wrong, name another with --encoding", path, encoding)


def _telling_lines(file: IO[bytes]) -> list[bytes]:
    """The first lines with bytes that are not ASCII."""
    num_bytes, found = 0, []
    for line in islice(iter(partial(file.readline, _MAX_LINE_BYTES), b""), _MAX_BYTES):
        num_bytes += len(line)
        if not line.isascii():
            found.append(line)
        if len(found) == _MAX_LINES or num_bytes >= _MAX_BYTES:
            break
    return found


def _is_utf8(line: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line)  # a line that was cut may end inside a character
    except UnicodeDecodeError:
        return False
    return True


def _has_usual_characters(text: str, encoding: str) -> bool:
    """False for a text of characters that its language hardly uses: bytes of another one."""
    usual = _USUAL_CHARACTERS.get(encoding)
    if usual is None:
        return True
    telling = [character for character in text if not character.isascii()]
    known = sum(len(character.encode(usual, "ignore")) == _BYTES_OF_USUAL for character in telling)
    return known >= _USUAL_SHARE * len(telling)


def _likely_encodings(text: bytes) -> list[str]:
    """The most likely one, or all that are as likely and read something else."""
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise CatalogError(
            "a file that is not UTF-8 is read with charset-normalizer, which is not installed; pip install"
            " charset-normalizer, or save the file as UTF-8"
        ) from error
    found = from_bytes(text, cp_isolation=list(ENCODINGS))
    matches = [match for match in found if _has_usual_characters(str(match), match.encoding)]
    likely = [match for match in matches if match.chaos <= matches[0].chaos + _CLEAR_DISTANCE]
    by_coherence = max((match.coherence for match in likely), default=0.0)
    likely = [match for match in likely if match.coherence >= by_coherence]
    # Several may read the same text: then the first of our list is as good.
    names = [next(name for name in ENCODINGS if name in match.could_be_from_charset) for match in likely]
    return [_ALPHABETS[0]] if _ALPHABETS[0] in names and set(names) <= set(_ALPHABETS) else names
