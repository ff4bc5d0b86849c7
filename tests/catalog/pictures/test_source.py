"""Pictures from files and from a real HTTP server that fails, stalls and counts requests."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.source import PictureSource
from model.errors import PictureError, SettingsError

FAST = PictureSourceSettings(timeout_s=5.0, num_retries=2, backoff_s=0.0, num_fetch_threads=8, max_image_bytes=1000)


class Shop(ThreadingHTTPServer):
    """A server that answers by path, counts requests, and ends stalled answers when it closes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopHandler)
        self.hits: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.is_closing = threading.Event()
        self.meeting = threading.Barrier(2)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class ShopHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shop

    def do_GET(self) -> None:
        name = self.path.lstrip("/").partition("?")[0]
        with self.server.lock:
            self.server.hits[name] += 1
            hit = self.server.hits[name]
        getattr(self, f"answer_{name.partition('-')[0]}")(hit)

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self, _hit: int) -> None:
        self.send(200, self.path.encode(), Content_Type="image/jpeg")

    def answer_missing(self, _hit: int) -> None:
        self.send(404)

    def answer_busy(self, hit: int) -> None:
        """Answer 429, then an error, then the picture."""
        if hit <= 2:
            self.send([429, 503][hit - 1], Retry_After="0")
        else:
            self.send(200, b"at last")

    def answer_broken(self, _hit: int) -> None:
        self.send(500)

    def answer_hangup(self, _hit: int) -> None:
        self.close_connection = True

    def answer_short(self, _hit: int) -> None:
        self.send(200, b"half", Content_Length="100")
        self.close_connection = True

    def answer_stall(self, _hit: int) -> None:
        self.server.is_closing.wait()
        self.close_connection = True

    def answer_drip(self, _hit: int) -> None:
        """Send single bytes, each in time, but never the whole."""
        self.send(200, Transfer_Encoding="chunked")
        while not self.server.is_closing.wait(0.05):
            try:
                self.wfile.write(b"1\r\nx\r\n")
            except OSError:
                break
        self.close_connection = True

    def answer_announced(self, _hit: int) -> None:
        self.send(200, Content_Length="1001")
        self.close_connection = True

    def answer_endless(self, _hit: int) -> None:
        self.send(200, Transfer_Encoding="chunked")
        while not self.server.is_closing.is_set():
            try:
                self.wfile.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            except OSError:
                break
        self.close_connection = True

    def answer_moved(self, _hit: int) -> None:
        self.send(302, Location="/good-moved")

    def answer_loop(self, _hit: int) -> None:
        self.send(302, Location="/loop")

    def answer_elsewhere(self, _hit: int) -> None:
        self.send(302, Location="ftp://shop/1.jpg")

    def answer_page(self, _hit: int) -> None:
        self.send(200, b"<h1>Not found</h1>", Content_Type="text/html; charset=utf-8")

    def answer_empty(self, _hit: int) -> None:
        self.send(200)

    def answer_meet(self, _hit: int) -> None:
        """Answer only while two of these are requested at the same time."""
        try:
            self.server.meeting.wait(10)
        except threading.BrokenBarrierError:
            self.send(404)
        else:
            self.send(200, b"met")


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.is_closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PictureSource]:
    with PictureSource(tmp_path, tmp_path / "cache", FAST) as source:
        yield source


def error_of(source: PictureSource, image: str) -> str:
    (found,) = source.read_many([image])
    assert isinstance(found, PictureError)
    return str(found)


def test_files_are_found_from_the_root_or_absolutely(tmp_path: Path, source: PictureSource) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "셔츠 1.jpg").write_bytes(b"shirt")
    assert source.read_many(["img/셔츠 1.jpg", str(tmp_path / "img" / "셔츠 1.jpg")]) == [b"shirt", b"shirt"]


def test_files_that_are_not_pictures(tmp_path: Path, source: PictureSource) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "full.jpg").write_bytes(b"x" * 1000)
    (tmp_path / "large.jpg").write_bytes(b"x" * 1001)
    good, *errors = source.read_many(["full.jpg", "none.jpg", ".", "empty.jpg", "large.jpg", "", "a\0b"])
    assert good == b"x" * 1000
    assert [str(error) for error in errors] == [
        f"{tmp_path}/none.jpg: expected a picture file, found No such file or directory; check the path",
        f"{tmp_path}: expected a picture file, found Is a directory; check the path",
        f"{tmp_path}/empty.jpg: expected a picture, found 0 bytes; replace it or empty the field",
        f"{tmp_path}/large.jpg: expected a picture of at most 1,000 bytes, found more;"
        " shrink it or raise max_image_bytes",
        "expected a path or URL, found none; leave out rows without a picture",
        f"{tmp_path}/a\0b: expected a picture file, found embedded null byte; check the path",
    ]


def test_order_is_kept_and_failures_affect_no_others(tmp_path: Path, shop: Shop, source: PictureSource) -> None:
    (tmp_path / "1.jpg").write_bytes(b"file")
    names = ["good-1", "missing", "good-2", "broken", "page", "good-3"]
    found = source.read_many([*map(shop.url, names), "1.jpg", "none.jpg", shop.url("good-1")])
    kinds = [value if isinstance(value, bytes) else type(value) for value in found]
    error = PictureError
    assert kinds == [b"/good-1", error, b"/good-2", error, error, b"/good-3", b"file", error, b"/good-1"]
    assert shop.hits["good-1"] == 1
    assert source.read_many([]) == []


def test_pictures_are_fetched_in_parallel(tmp_path: Path, shop: Shop) -> None:
    with PictureSource(tmp_path, tmp_path / "cache", replace(FAST, timeout_s=20.0, num_retries=0)) as source:
        assert source.read_many([shop.url("meet-1"), shop.url("meet-2")]) == [b"met", b"met"]


def test_a_cached_picture_is_not_fetched_again(tmp_path: Path, shop: Shop, source: PictureSource) -> None:
    url = shop.url("good?size=1&이름=셔츠")
    first = source.read_many([url])
    with PictureSource(tmp_path / "elsewhere", tmp_path / "cache", FAST) as other:
        assert other.read_many([url]) == first
    assert shop.hits == {"good": 1}


def test_a_cached_picture_has_to_be_within_the_limit(tmp_path: Path, shop: Shop, source: PictureSource) -> None:
    url = shop.url("good-with-a-long-name")
    source.read_many([url])
    with PictureSource(tmp_path, tmp_path / "cache", replace(FAST, max_image_bytes=5)) as strict:
        assert "expected a picture of at most 5 bytes, found more" in error_of(strict, url)


@pytest.mark.parametrize("name", ["missing", "page", "broken", "empty", "short"])
def test_failures_are_not_cached(tmp_path: Path, shop: Shop, source: PictureSource, name: str) -> None:
    error_of(source, shop.url(name))
    hits = shop.hits[name]
    error_of(source, shop.url(name))
    assert shop.hits[name] == 2 * hits
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_transient_errors_are_retried(shop: Shop, source: PictureSource) -> None:
    assert source.read_many([shop.url("busy")]) == [b"at last"]
    assert shop.hits["busy"] == 3


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("broken", "HTTP 500 in 3 attempts; try again later"),
        (
            "hangup",
            "a failed connection (Server disconnected without sending a response.) in 3 attempts; try again later",
        ),
        ("short", "a failed connection (peer closed connection without sending complete message body"),
    ],
)
def test_transient_errors_are_final_after_the_last_retry(
    shop: Shop, source: PictureSource, name: str, found: str
) -> None:
    assert error_of(source, shop.url(name)).startswith(f"{shop.url(name)}: expected a picture, found {found}")
    assert shop.hits[name] == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "expected a picture, found HTTP 404; check the address"),
        ("page", "expected a picture, found text/html; charset=utf-8; link the picture itself"),
        ("empty", "expected a picture, found 0 bytes; replace it or empty the field"),
        ("announced", "expected a picture of at most 1,000 bytes, found more; shrink it or raise max_image_bytes"),
        ("endless", "expected a picture of at most 1,000 bytes, found more; shrink it or raise max_image_bytes"),
    ],
)
def test_final_errors_are_not_retried(shop: Shop, source: PictureSource, name: str, message: str) -> None:
    assert error_of(source, shop.url(name)) == f"{shop.url(name)}: {message}"
    assert shop.hits[name] == 1


def test_redirects(shop: Shop, source: PictureSource) -> None:
    assert source.read_many([shop.url("moved")]) == [b"/good-moved"]
    assert "found Exceeded maximum allowed redirects.; check the address" in error_of(source, shop.url("loop"))
    assert shop.hits["loop"] == 6
    assert "check the address" in error_of(source, shop.url("elsewhere"))


@pytest.mark.parametrize(
    ("name", "found"),
    [("stall", "no answer within 0.2 s in 2 attempts"), ("drip", "an incomplete answer within 0.2 s in 2 attempts")],
)
def test_a_stalled_server_times_out(tmp_path: Path, shop: Shop, name: str, found: str) -> None:
    with PictureSource(tmp_path, tmp_path / "cache", replace(FAST, timeout_s=0.2, num_retries=1)) as source:
        stalled, good = source.read_many([shop.url(name), shop.url("good-neighbour")])
    assert found in str(stalled)
    assert good == b"/good-neighbour"
    assert shop.hits[name] == 2


def test_no_server_at_all(tmp_path: Path, shop: Shop) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ShopHandler) as closed:
        port = closed.server_port
    with PictureSource(tmp_path, tmp_path / "cache", replace(FAST, num_retries=0)) as source:
        message = error_of(source, f"http://127.0.0.1:{port}/1.jpg")
    assert "found a failed connection (" in message
    assert message.endswith(" in 1 attempt; try again later")


@pytest.mark.parametrize("url", ["http://", "http://[::1/1.jpg", "http://a\u0300..b/1.jpg", "https://x:99999999/1.jpg"])
def test_an_invalid_address(source: PictureSource, url: str) -> None:
    assert error_of(source, url).startswith(f"{url}: expected ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("timeout_s", 0.0, "timeout_s: expected more than 0, found 0"),
        ("num_retries", -1, "num_retries: expected 0 or more, found -1"),
        ("num_fetch_threads", 0, "num_fetch_threads: expected 1 or more, found 0"),
        ("max_image_bytes", 0, "max_image_bytes: expected 1 or more, found 0"),
        ("backoff_s", -0.1, "backoff_s: expected 0 or more, found -0.1"),
    ],
)
def test_settings_out_of_range(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(FAST, **{name: value})


def test_without_httpx_only_urls_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave httpx out as the server's image does."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "catalog.pictures.fetching", raising=False)
    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    with PictureSource(tmp_path, tmp_path / "cache", FAST) as source:
        picture, error = source.read_many(["a.jpg", "http://127.0.0.1:9/b.jpg"])
    assert picture == b"jpeg"
    assert str(error) == "http://127.0.0.1:9/b.jpg: expected httpx to fetch it, found none; pip install httpx"
