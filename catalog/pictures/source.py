"""The source of the encoded pictures of catalog rows: read from disk, or fetched in parallel and cached."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.pictures.cache import PictureCache
from catalog.pictures.limits import PictureSourceSettings, check_picture_size
from catalog.rows import is_url
from model.errors import PictureError

if TYPE_CHECKING:
    from catalog.pictures.fetching import PictureFetcher


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
        self._pool = ThreadPoolExecutor(self.settings.num_fetch_threads, thread_name_prefix="pictures")
        self._lock = threading.Lock()
        self._opened_fetcher: PictureFetcher | None = None

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
        if self._opened_fetcher is not None:
            self._opened_fetcher.close()

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
            picture = self._fetcher(url).fetch(url)
            self._cache.put(url, picture)
        return self._checked(url, picture)

    def _fetcher(self, url: str) -> "PictureFetcher":
        """Return the fetcher, made for the first URL: few catalogs have one, and a server has no httpx."""
        with self._lock:
            if self._opened_fetcher is None:
                try:
                    from catalog.pictures.fetching import PictureFetcher
                except ImportError as error:
                    raise PictureError(f"{url}: expected httpx to fetch it, found none; pip install httpx") from error
                self._opened_fetcher = PictureFetcher(self.settings)
            return self._opened_fetcher

    def _checked(self, where: str, picture: bytes) -> bytes:
        check_picture_size(where, len(picture), self.settings.max_image_bytes)
        return picture
