"""The disk cache of fetched pictures."""

import logging
from pathlib import Path

import pytest

from catalog.pictures.cache import PictureCache

URL = "http://shop/셔츠.jpg"


def test_put_then_get(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "new")
    assert cache.get(URL) is None
    cache.put(URL, b"first")
    cache.put(URL, b"second")
    assert PictureCache(tmp_path / "new").get(URL) == b"second"
    assert cache.get(URL + "?") is None
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_an_empty_file_is_no_picture(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path)
    cache.put(URL, b"")
    assert cache.get(URL) is None


def test_a_disk_error_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    cache = PictureCache(tmp_path / "cache")
    with caplog.at_level(logging.WARNING, "aisle.pictures"):
        cache.put(URL, b"x")
        cache.put(URL, b"x")
        assert cache.get(URL) is None
    assert len(caplog.messages) == 1
    assert "cannot be written: " in caplog.messages[0]
    assert "fetched pictures are not cached" in caplog.messages[0]
