"""Pictures fetched by URL, with time-outs, retries and limits; the only file that needs httpx."""

import time

import httpx

from catalog.pictures.limits import PictureSourceSettings, check_picture_size
from model.errors import PictureError

_MAX_REDIRECTS = 5
_MAX_RETRY_AFTER_S = 30.0
_HEADERS = {"User-Agent": "aisle", "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
_TOO_MANY_REQUESTS = 429


class PictureFetcher:
    """Fetches encoded pictures; thread-safe. To be closed."""

    def __init__(self, settings: PictureSourceSettings):
        self.settings = settings
        num_threads = settings.num_fetch_threads
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=num_threads, max_keepalive_connections=num_threads),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            headers=_HEADERS,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, url: str) -> bytes:
        """Fetch a URL with retries and exponential backoff.

        Raises:
            PictureError: the error is final, or the last retry failed.
        """
        for attempt in range(self.settings.num_retries + 1):
            try:
                return self._fetch_once(url)
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
            check_picture_size(url, int(length), self.settings.max_image_bytes)
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            check_picture_size(url, len(body), self.settings.max_image_bytes)
            if time.monotonic() > deadline:
                raise _AttemptError(f"an incomplete answer within {self.settings.timeout_s:g} s")
        check_picture_size(url, len(body), self.settings.max_image_bytes)
        return bytes(body)


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
    if content_type.startswith("text/html"):  # 'not found' with status 200 must not be cached as a picture
        raise PictureError(f"{url}: expected a picture, found {content_type}; link the picture itself")
