"""Physical lines: byte-order marks, encodings, gzip, and files without line ends."""

import codecs
import gzip
from pathlib import Path

import pytest

from catalog.formats import text_lines as module
from catalog.formats.text_lines import printable, text_lines
from model.errors import CatalogError


def test_lines_keep_their_ends_and_lose_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + "가\r\n\n나".encode())
    assert list(text_lines(path)) == ["가\r\n", "\n", "나"]


def test_a_carriage_return_alone_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\rb\nc")
    assert list(text_lines(path)) == ["a\rb\n", "c"]


def test_an_empty_file_has_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    assert list(text_lines(path)) == []


def test_a_byte_that_is_not_utf8_stays_in_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("좋은\n".encode() + b"\xb0\xa1\n" + "값\n".encode())
    good, bad, after = text_lines(path)
    assert (good, after) == ("좋은\n", "값\n")
    assert printable(bad) == "\\xb0\\xa1\n"


def test_a_lone_surrogate_is_shown_by_its_number() -> None:
    assert printable("가\ud800") == "가\\ud800"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_by_its_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else codecs.BOM_UTF16_LE
    # U+010A and U+0A0A hold the byte of a line end.
    path.write_bytes(mark + "가\u010a\r\n\u0a0a\n나".encode(encoding))
    assert list(text_lines(path)) == ["가\u010a\r\n", "\u0a0a\n", "나"]


def test_gzip_is_read_through(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.GZ"
    path.write_bytes(gzip.compress(codecs.BOM_UTF8 + b"a\nb\n"))
    assert list(text_lines(path)) == ["a\n", "b\n"]


def test_a_truncated_gzip_is_reported_with_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a\nb\n" * 3)[:-9])
    with pytest.raises(CatalogError, match=r"a\.csv\.gz cannot be read (after line \d+|at its start): .*copy the file"):
        list(text_lines(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read at its start: .*No such file.*check the path"):
        next(text_lines(tmp_path / "none.csv"))


def test_a_very_long_line_is_truncated_and_the_next_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 35 + b"\n" + b"123456789\n" + b"end")
    assert list(text_lines(path)) == ["x" * 10, "123456789\n", "end"]
    path.write_text("x" * 35 + "\n" + "123456789\n" + "end", encoding="utf-16")
    assert list(text_lines(path)) == ["x" * 10, "123456789\n", "end"]
