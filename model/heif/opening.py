"""AVIF and HEIC pictures as Pillow opens them, decoded on the caller's thread."""

import io

from PIL import AvifImagePlugin, Image

from model.errors import PictureError

# As many threads as cores would be started for each picture, of which a server decodes several at a time.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_BRAND = slice(8, 12)


def open_heif(data: bytes, file_format: str) -> Image.Image:
    """Open a picture; of an animation its still picture.

    Args:
        file_format: see `model.heif.frame.heif_format`.
    Raises:
        PictureError: HEIC, and pillow-heif is not installed.
        Exception: whatever the libraries raise for a broken file.
    """
    if file_format == "HEIF":
        return _open_heic(data)
    still = data[: _BRAND.start] + b"avif" + data[_BRAND.stop :]
    return Image.open(io.BytesIO(still), formats=["AVIF"])


def _open_heic(data: bytes) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile, options
    except ImportError as error:
        raise PictureError(
            "HEIC pictures are decoded with pillow-heif, which is not installed; pip install pillow-heif, or send"
            " another format"
        ) from error
    options.DECODE_THREADS = 1
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    return HeifImageFile(io.BytesIO(data))
