"""Pictures of catalog rows decoded one by one: an error is a value, and becomes the row's reason."""

import numpy as np

from model.errors import PictureError
from model.pictures import decode_picture
from model.settings import ImageSettings

#: The kind of reject; rows of this kind get another chance in the next run.
UNREADABLE = "unreadable picture"


def decode_or_error(picture: bytes | PictureError, settings: ImageSettings) -> np.ndarray | PictureError:
    """`decode_picture` with its error as a value, for use in a pool."""
    if isinstance(picture, PictureError):
        return picture
    try:
        return decode_picture(picture, settings)
    except PictureError as error:
        return error


def picture_fault(image: str, error: object) -> str:
    """The reason to reject a row; errors of fetching name the picture already, those of decoding do not."""
    return f"{UNREADABLE}: {error}" if image in str(error) else f"{UNREADABLE}: {image}: {error}"
