"""Limits of reading and fetching pictures."""

from dataclasses import dataclass

from model.errors import PictureError, SettingsError


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


def check_picture_size(where: str, num_bytes: int, max_image_bytes: int) -> None:
    """Check the size of an encoded picture.

    Raises:
        PictureError: it is 0 bytes, or larger than allowed.
    """
    if not num_bytes:
        raise PictureError(f"{where}: expected a picture, found 0 bytes; replace it or empty the field")
    if num_bytes > max_image_bytes:
        raise PictureError(
            f"{where}: expected a picture of at most {max_image_bytes:,} bytes, found more;"
            " shrink it or raise max_image_bytes"
        )
