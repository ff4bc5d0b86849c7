"""The header of an encoded picture: format, size, and the memory that decoding takes."""

import io
from dataclasses import dataclass

from PIL import Image

from model.heif.frame import HeifFrame, heif_format, read_heif_frame
from model.jpeg_frame import JPEG_START, JpegFrame, read_jpeg_frame
from model.rgb_rows import BLOCK_PIXEL_BYTES, BLOCK_PIXELS
from model.settings import ImageSettings

#: Pillow reads dozens of formats, one of them by starting Ghostscript; pictures of strangers get these.
PLAIN_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
#: And those that `model.heif` opens; HEIF is HEIC's container.
FORMATS = (*PLAIN_FORMATS, "AVIF", "HEIF")
#: As people call them, in messages.
FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
#: A picture of more pixels is shrunk a few rows at a time, which gives the same to a grey level, not to the bit.
LARGE_PIXELS = 4_000_000

#: Bytes of a pixel in Pillow's memory by its mode; 4 in every other.
_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_RGB_BYTES = 3
_WEBP_BYTES = 8  # in libwebp and in OpenCV's copy
_ANIMATED_WEBP_BYTES = 20  # in two canvases of libwebp, and Pillow's copies
_HEIF_BYTES, _DEEP_HEIF_BYTES = 18, 28  # planes with transparency and film grain in a decoder, and two copies as RGBA
_RUN_LENGTH_BMP_BYTES = 2  # beside the stored ones
_ROW_BYTES = 2 * 8  # two rows of 16-bit RGBA, in the decoder of PNG
_BITS_PER_SAMPLE, _ORIENTATION = 258, 274  # tags of TIFF
#: Whatever the picture's size: the blocks that its rows are converted in, and the libraries' own tables.
_FIXED_BYTES = BLOCK_PIXELS * BLOCK_PIXEL_BYTES + (4 << 20)


@dataclass(frozen=True)
class PictureHeader:
    """Header of a picture, of which nothing was decoded.

    Args:
        file_format: one of FORMATS.
        width, height: as stored, before it is turned upright, pixels; of AVIF and HEIC those of `HeifFrame`.
        decode_bytes: most memory that `decode_picture` takes for it, beside the encoded bytes; 0 for a picture over a
            limit, which is refused by its header.
    """

    file_format: str
    width: int
    height: int
    decode_bytes: int

    @property
    def num_pixels(self) -> int:
        """Pixels as stored."""
        return self.width * self.height


def read_picture_header(data: bytes, settings: ImageSettings) -> PictureHeader | None:
    """Read an encoded picture's header: 10 microseconds for JPEG and WebP, 30 to 100 for the others.

    The bytes of a pixel that decoding takes, for a picture of more than LARGE_PIXELS that is at least image_size wide
    and high: PNG, GIF and BMP 1 (grey, palette), 2 (16-bit grey) or 4, run-length BMP 3, TIFF 5 to 16, WebP 8, animated
    20, AVIF and HEIC 18, with more than 8 bits a sample 28; of JPEG only what its scaled decoding leaves, and with
    progressive scans 1 to 4 coefficients of 2 bytes. Other pictures are there as RGB as well, 6 more.

    Args:
        data: see `decode_picture`.
        settings: image_size, max_image_bytes and max_image_pixels apply.
    Returns:
        None for what is no picture or broken before its pixels begin; `decode_picture` says why.
    """
    try:
        if data.startswith(JPEG_START):
            frame = read_jpeg_frame(data)
            header = PictureHeader("JPEG", frame.width, frame.height, _jpeg_bytes(frame, settings.image_size))
        elif data.startswith(b"RIFF"):
            header = _read_webp_header(data, settings.image_size)
        elif file_format := heif_format(data):
            heif = read_heif_frame(data, file_format)
            header = PictureHeader(file_format, heif.width, heif.height, _heif_bytes(heif, settings.image_size))
        else:
            with Image.open(io.BytesIO(data), formats=PLAIN_FORMATS) as image:
                decode_bytes = _decode_bytes(image, settings.image_size)
                header = PictureHeader(str(image.format), image.width, image.height, decode_bytes)
    except Exception:  # decoders raise whatever their format's library does
        return None
    if not header.num_pixels:
        return None
    if header.num_pixels > settings.max_image_pixels or len(data) > settings.max_image_bytes:
        return PictureHeader(header.file_format, header.width, header.height, 0)
    return header


def jpeg_divisor(width: int, height: int, size: int) -> int:
    """By how much Pillow is to divide the sides of a JPEG: 1, or what leaves a large one twice `size` or more."""
    if width * height <= LARGE_PIXELS:
        return 1
    return next((divisor for divisor in (8, 4, 2) if min(width, height) >= 2 * size * divisor), 1)


def _jpeg_bytes(frame: JpegFrame, size: int) -> int:
    width, height = frame.width, frame.height
    if frame.num_components == 4:
        divisor = jpeg_divisor(width, height, size)
        return frame.kept_bytes + _rows_bytes(width // divisor, height // divisor, size, stored=4)
    smallest = min(width, height)
    eighths = next(n for n in range(1, 9) if smallest * n >= size * 8) if smallest >= size else 8
    decoded = _RGB_BYTES * width * height * eighths**2 // 64
    return frame.kept_bytes + 2 * decoded + _FIXED_BYTES  # twice when it is turned upright


def _heif_bytes(frame: HeifFrame, size: int) -> int:
    stored = _DEEP_HEIF_BYTES if frame.is_deep else _HEIF_BYTES
    return frame.item_bytes + _rows_bytes(frame.width, frame.height, size, stored)


def _read_webp_header(data: bytes, size: int) -> PictureHeader:
    """Of the container, https://developers.google.com/speed/webp/docs/riff_container."""
    if data[8:12] != b"WEBP":
        raise ValueError("expected WebP")
    kind, stored = data[12:16], _WEBP_BYTES
    if kind == b"VP8X":
        stored = _ANIMATED_WEBP_BYTES if data[20] & 2 else _WEBP_BYTES
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    else:
        raise ValueError("expected a picture in the container")
    return PictureHeader("WEBP", width, height, _rows_bytes(width, height, size, stored))


def _decode_bytes(image: Image.Image, size: int) -> int:
    stored = _STORED_BYTES.get(image.mode, 4)
    if image.format == "TIFF":
        stored += _tiff_bytes(image, stored)
    elif image.format == "BMP" and stored == 1:
        stored += _RUN_LENGTH_BMP_BYTES
    return _rows_bytes(image.width, image.height, size, stored)


def _tiff_bytes(image: Image.Image, stored: int) -> int:
    """One strip may hold the whole picture, and Pillow turns it upright beside the stored one."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = tags.get(_BITS_PER_SAMPLE, 1)
    strip = max(4, sum(bits) // 8 if isinstance(bits, tuple) else 0)
    return strip + (stored if tags.get(_ORIENTATION, 1) != 1 else 0)


def _rows_bytes(width: int, height: int, size: int, stored: int) -> int:
    """Of a picture whose rows `RgbRows` reads, `stored` bytes a pixel before that."""
    is_shrunk_in_rows = min(width, height) >= size and width * height > LARGE_PIXELS
    whole = 0 if is_shrunk_in_rows else 2 * _RGB_BYTES  # and turned upright
    return width * height * (stored + whole) + width * (_ROW_BYTES + _RGB_BYTES) + _FIXED_BYTES
