"""Decoding of the pictures of catalog rows, with errors as values that become the reason of a reject."""

import numpy as np

from model.errors import PictureError
from model.pictures import decode_picture
from model.settings import ImageSettings

#: The kind of reject; rows of this kind are tried again in the next run.
UNREADABLE = "unreadable picture"


def decode_or_error(picture: bytes | PictureError, settings: ImageSettings) -> np.ndarray | PictureError:
    """Decode a picture and return its error as a value, for use in a pool."""
    if isinstance(picture, PictureError):
        return picture
    try:
        return decode_picture(picture, settings)
    except PictureError as error:
        return error


def picture_fault(image: str, error: object) -> str:
    """Return the reason to reject a row; errors of decoding do not name the picture yet, those of fetching do."""
    return f"{UNREADABLE}: {error}" if image in str(error) else f"{UNREADABLE}: {image}: {error}"
