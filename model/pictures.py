"""The one picture decoder, for training and serving: encoded bytes to square RGB pixels."""

import io
import warnings

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from model.errors import PictureError
from model.heif.frame import heif_format, read_heif_frame
from model.heif.opening import open_heif
from model.jpeg_frame import JPEG_START
from model.picture_header import FORMAT_NAMES, LARGE_PIXELS, PLAIN_FORMATS, jpeg_divisor
from model.rgb_rows import RgbRows
from model.settings import ImageSettings

# Pillow's own bomb check would warn at a fixed size; ours reads the header first and is a setting.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of odd metadata in words that quote it. Each text is printed once and remembered for ever, so pictures of
# strangers would fill the log and the memory of a server.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_EXIF_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_MULTI_PICTURE = b"MPF\0"  # Pillow takes several pictures in a file for a format of its own
_PLAIN_COLORSPACES = ("YCbCr", "Gray")
_JPEG_END = b"\xff\xd9"
_MOST_BYTES_AFTER_END = 1024
#: Share of a JPEG's rows that may be missing: uploads lose their last bytes, and the rest shows the product.
_MOST_MISSING, _GRAY = 0.1, 128


def decode_picture(data: bytes, settings: ImageSettings) -> np.ndarray:
    """Decode, turn upright, lay transparency on white, and resize to a square.

    A JPEG that lacks its last bytes is decoded all the same while nine tenths of its rows are there, if only coarsely.

    Args:
        data: JPEG, PNG, WebP, GIF (first frame), BMP, TIFF, AVIF or, with pillow-heif, HEIC.
        settings: image_size, max_image_bytes and max_image_pixels apply.
    Returns:
        (image_size, image_size, 3) uint8 RGB.
    Raises:
        PictureError: over a limit, of an unknown format, cut off or damaged.
    """
    if not data:
        raise PictureError("expected an encoded picture, found 0 bytes; leave the field out when there is none")
    if len(data) > settings.max_image_bytes:
        raise PictureError(
            f"expected at most {settings.max_image_bytes} bytes of picture, found {len(data)}; send a smaller one"
        )
    try:
        pixels = _decode_upright_jpeg(data, settings)
        if pixels is None:
            pixels = _decode_any(data, settings)
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        raise PictureError(f"expected a {FORMAT_NAMES} picture, found {len(data)} bytes of none of them") from error
    except Exception as error:  # decoders raise whatever their format's library does
        # Whose picture it is may be a stranger: what the library says of its own inside stays in __cause__.
        raise PictureError("the picture is damaged or cut off; send it again") from error
    return resize(pixels, settings.image_size)


def open_picture(data: bytes) -> Image.Image:
    """Open an encoded picture of any format that `decode_picture` reads, without decoding it.

    Raises:
        PictureError: HEIC, and pillow-heif is not installed.
        Exception: whatever the format's library raises for what is broken or no picture.
    """
    if file_format := heif_format(data):
        return open_heif(data, file_format)
    return Image.open(io.BytesIO(data), formats=PLAIN_FORMATS)


def blank_jpeg(image_size: int) -> bytes:
    """A black square, to warm up with and to see whether an engine is sound."""
    return simplejpeg.encode_jpeg(np.zeros((image_size, image_size, 3), np.uint8))


def resize(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """(H, W, 3) uint8 to (image_size, image_size, 3); averaging areas when it shrinks."""
    height, width = pixels.shape[:2]
    if (height, width) == (image_size, image_size):
        return np.ascontiguousarray(pixels)
    shrinks = height >= image_size and width >= image_size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (image_size, image_size), interpolation=interpolation)


def _decode_upright_jpeg(data: bytes, settings: ImageSettings) -> np.ndarray | None:
    """A JPEG without EXIF, as most of a shop's are, without the tenth of a millisecond that Pillow takes to open it.

    None for whatever needs Pillow, broken pictures included.
    """
    if not data.startswith(JPEG_START) or _EXIF in data or _MULTI_PICTURE in data:
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colorspace not in _PLAIN_COLORSPACES:
        return None
    _check_size(width, height, settings)
    return _decode_jpeg(data, width, height, settings)


def _decode_any(data: bytes, settings: ImageSettings) -> np.ndarray:
    if file_format := heif_format(data):
        frame = read_heif_frame(data, file_format)
        _check_size(frame.width, frame.height, settings)
        with open_picture(data) as image:
            return _decode_other(image, data, settings.image_size)
    with open_picture(data) as image:
        _check_size(image.width, image.height, settings)
        image.seek(0)
        if not _is_plain_jpeg(image):
            return _decode_other(image, data, settings.image_size)
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        return _upright(_decode_jpeg(data, image.width, image.height, settings), orientation)


def _check_size(width: int, height: int, settings: ImageSettings) -> None:
    if width * height > settings.max_image_pixels:
        raise PictureError(
            f"expected at most {settings.max_image_pixels} pixels, the header announces"
            f" {width} x {height}; send a smaller picture"
        )


def _is_plain_jpeg(image: Image.Image) -> bool:
    return image.format == "JPEG" and image.mode in ("RGB", "L")


def _decode_jpeg(data: bytes, width: int, height: int, settings: ImageSettings) -> np.ndarray:
    """The DCT-scaled decode skips most of the work of a large JPEG."""
    size = settings.image_size
    shrinks = width >= size and height >= size
    scale = {"min_height": size, "min_width": size, "min_factor": 1} if shrinks else {}
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True, **scale)
    except ValueError:
        if _JPEG_END in data[-_MOST_BYTES_AFTER_END:]:
            raise
        pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=False, **scale)
        if _missing_share(pixels) > _MOST_MISSING:
            raise
        return pixels


def _missing_share(pixels: np.ndarray) -> float:
    """The share of rows at the bottom that the decoder filled with gray, because a JPEG ends before them."""
    is_there = np.flatnonzero((pixels != _GRAY).any(axis=(1, 2)))
    return 1 - (is_there[-1] + 1) / len(pixels) if len(is_there) else 1.0


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the EXIF orientation, 1 to 8, as ImageOps.exif_transpose does."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _decode_other(image: Image.Image, data: bytes, size: int) -> np.ndarray:
    """Upright; a large picture that shrinks comes in its final size, so that it is never there as a whole in RGB."""
    divisor = jpeg_divisor(image.width, image.height, size)
    if divisor > 1:  # of a JPEG only; decoding less of it is most of the saving
        image.draft(None, (image.width // divisor, image.height // divisor))
    is_still_webp = image.format == "WEBP" and not getattr(image, "is_animated", False)
    rows = RgbRows.of_bgr(_decode_webp(data)) if is_still_webp else RgbRows.of_image(image)
    # Read only now: a PNG may have it behind the pixels, and Pillow turns a TIFF as it decodes.
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    shrinks = rows.width >= size and rows.height >= size
    is_large = rows.width * rows.height > LARGE_PIXELS
    return _upright(rows.shrink(size) if is_large and shrinks else rows.read(0, rows.height), orientation)


def _decode_webp(data: bytes) -> np.ndarray:
    """(H, W, 3 or 4) uint8, blue first; the same pixels as Pillow's, in half of the memory."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode this WebP")
    return pixels
