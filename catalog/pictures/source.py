"""The source of the encoded pictures of catalog rows: read from disk, or fetched in parallel and cached."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from catalog.pictures.cache import PictureCache
from catalog.rows import is_url
from model.errors import PictureError, SettingsError

_MAX_REDIRECTS = 5
_MAX_RETRY_AFTER_S = 30.0
_HEADERS = {"User-Agent": "aisle", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class PictureSourceSettings:
    """Settings of fetching pictures."""

    timeout_s: float = 20.0
    """Timeout of an attempt to fetch a URL, and of each wait in it, seconds."""
    num_retries: int = 2
    """Retries after a failed connection, a timeout, or an answer of 429 or 5xx."""
    backoff_s: float = 0.5
    """Delay before the first retry, seconds; it doubles with each, and a longer Retry-After up to 30 s is respected."""
    num_fetch_threads: int = 16
    """Pictures read or fetched at the same time."""
    max_image_bytes: int = 20_000_000
    """Largest encoded picture, bytes; larger ones are not read."""

    def __post_init__(self) -> None:
        """Check the values; raises SettingsError for one out of range."""
        for name, minimum in (("num_retries", 0), ("num_fetch_threads", 1), ("max_image_bytes", 1), ("backoff_s", 0)):
            if getattr(self, name) < minimum:
                raise SettingsError(f"{name}: expected {minimum} or more, found {getattr(self, name)}")
        if self.timeout_s <= 0:
            raise SettingsError(f"timeout_s: expected more than 0, found {self.timeout_s}")


class PictureSource:
    """Reads and fetches encoded pictures. To be closed, or used in a `with`.

    Args:
        root: folder of relative paths, the catalog's own.
        cache_dir: folder of the cache; a URL in the cache is not fetched again.
    """

    def __init__(self, root: Path, cache_dir: Path, settings: PictureSourceSettings | None = None):
        self.root = root
        self.settings = settings or PictureSourceSettings()
        self._cache = PictureCache(cache_dir)
        num_threads = self.settings.num_fetch_threads
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="pictures")
        self._client = httpx.Client(
            timeout=self.settings.timeout_s,
            limits=httpx.Limits(max_connections=num_threads, max_keepalive_connections=num_threads),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            headers=_HEADERS,
        )

    def read_many(self, images: Sequence[str]) -> list[bytes | PictureError]:
        """Read N pictures in parallel; one that fails becomes its error and does not affect the others.

        All N are held in memory, so it should be called chunk by chunk.

        Args:
            images: paths or http(s) URLs; duplicates are read once.
        Returns:
            N encoded pictures, not yet decoded, or errors, in the order of `images`.
        """
        distinct = list(dict.fromkeys(images))
        found = dict(zip(distinct, self._pool.map(self._read, distinct), strict=True))
        return [found[image] for image in images]

    def close(self) -> None:
        """Cancel waiting reads, and close the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def __enter__(self) -> "PictureSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, image: str) -> bytes | PictureError:
        try:
            return self._read_url(image) if is_url(image) else self._read_file(image)
        except PictureError as error:
            return error

    def _read_file(self, image: str) -> bytes:
        if not image:
            raise PictureError("expected a path or URL, found none; leave out rows without a picture")
        path = self.root / image
        try:
            with path.open("rb") as file:
                picture = file.read(self.settings.max_image_bytes + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise PictureError(f"{path}: expected a picture file, found {reason}; check the path") from error
        return self._checked(str(path), picture)

    def _read_url(self, url: str) -> bytes:
        picture = self._cache.get(url)
        if picture is None:
            picture = self._fetch(url)
            self._cache.put(url, picture)
        return self._checked(url, picture)

    def _fetch(self, url: str) -> bytes:
        """Fetch a URL with retries and exponential backoff.

        Raises:
            PictureError: the error is final, or the last retry failed.
        """
        for attempt in range(self.settings.num_retries + 1):
            try:
                return self._checked(url, self._fetch_once(url))
            except _AttemptError as error:
                failure = error
            if attempt < self.settings.num_retries:
                time.sleep(max(self.settings.backoff_s * 2**attempt, failure.after_s))
        attempts = "1 attempt" if self.settings.num_retries == 0 else f"{self.settings.num_retries + 1} attempts"
        raise PictureError(f"{url}: expected a picture, found {failure} in {attempts}; try again later") from failure

    def _fetch_once(self, url: str) -> bytes:
        deadline = time.monotonic() + self.settings.timeout_s
        try:
            with self._client.stream("GET", url) as response:
                _check_answer(url, response)
                return self._body(url, response, deadline)
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.DecodingError) as error:
            raise PictureError(f"{url}: expected a picture, found {error}; check the address") from error
        except httpx.TimeoutException as error:
            raise _AttemptError(f"no answer within {self.settings.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise _AttemptError(f"a failed connection ({error})") from error
        except ValueError as error:  # an invalid host name
            raise PictureError(f"{url}: expected an address, found {error}; correct it") from error

    def _body(self, url: str, response: httpx.Response, deadline: float) -> bytes:
        """Read the body within the limits of bytes and time."""
        length = response.headers.get("Content-Length", "")
        if length.isdigit():
            self._check_size(url, int(length))
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            self._check_size(url, len(body))
            if time.monotonic() > deadline:
                raise _AttemptError(f"an incomplete answer within {self.settings.timeout_s:g} s")
        return bytes(body)

    def _checked(self, where: str, picture: bytes) -> bytes:
        if not picture:
            raise PictureError(f"{where}: expected a picture, found 0 bytes; replace it or empty the field")
        self._check_size(where, len(picture))
        return picture

    def _check_size(self, where: str, num_bytes: int) -> None:
        if num_bytes > self.settings.max_image_bytes:
            raise PictureError(
                f"{where}: expected a picture of at most {self.settings.max_image_bytes:,} bytes, found more;"
                " shrink it or raise max_image_bytes"
            )


class _AttemptError(Exception):
    """An attempt failed with a transient error."""

    def __init__(self, found: str, after_s: float = 0.0):
        super().__init__(found)
        self.after_s = after_s


def _check_answer(url: str, response: httpx.Response) -> None:
    if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
        wait = response.headers.get("Retry-After", "")
        after_s = min(float(wait), _MAX_RETRY_AFTER_S) if wait.isdigit() else 0.0
        raise _AttemptError(f"HTTP {response.status_code}", after_s)
    content_type = response.headers.get("Content-Type", "")
    if not response.is_success:
        raise PictureError(f"{url}: expected a picture, found HTTP {response.status_code}; check the address")
    if content_type.startswith(
        "text/html"
    ):  # a page that reports 'not found' with status 200 must not be cached as a picture
        raise PictureError(f"{url}: expected a picture, found {content_type}; link the picture itself")
