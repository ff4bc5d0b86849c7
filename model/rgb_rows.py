"""Rows of a decoded picture as RGB on white, a few at a time: the steps between need five times a picture's memory."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from PIL import Image

#: Most pixels that go through those steps at a time, and what each of them takes there, bytes.
BLOCK_PIXELS = 1 << 18
BLOCK_PIXEL_BYTES = 32
_WHITE = (255, 255, 255, 255)
_Box = tuple[int, int, int, int]


class RgbRows:
    """A picture whose rows can be read as RGB, transparency laid on white, grey of 16 bits or floats scaled to 8.

    Args:
        crop: a part of the decoded picture by its box (left, upper, right, lower), in any mode of Pillow's.
        width, height: of the picture, pixels.
    """

    def __init__(self, crop: Callable[[_Box], Image.Image], width: int, height: int):
        self._crop = crop
        self.width = width
        self.height = height
        self._top = self._top_of_wide_grey()

    @classmethod
    def of_image(cls, image: Image.Image) -> "RgbRows":
        """Rows of an image, which is decoded if it is not yet."""
        image.load()
        return cls(image.crop, image.width, image.height)

    @classmethod
    def of_bgr(cls, pixels: np.ndarray) -> "RgbRows":
        """Rows of what OpenCV decodes: (H, W, 3) or (H, W, 4) uint8, blue first, alpha last."""
        code = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB

        def crop(box: _Box) -> Image.Image:
            left, upper, right, lower = box
            return Image.fromarray(cv2.cvtColor(pixels[upper:lower, left:right], code))

        return cls(crop, pixels.shape[1], pixels.shape[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` - 1: (stop - start, W, 3) uint8."""
        rows = np.empty((stop - start, self.width, 3), np.uint8)
        for left, upper, right, lower in self._boxes(start, stop):
            rows[upper - start : lower - start, left:right] = self._rgb(self._crop((left, upper, right, lower)))
        return rows

    def shrink(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8, each pixel the mean of its area, from a picture that is at least as wide and high.

        The mean is the product of one along the row and one along the column, so that a few rows at a time do.
        """
        sums = np.zeros((size, size * 3), np.float32)
        step = max(1, BLOCK_PIXELS // self.width)
        for start in range(0, self.height, step):
            stop = min(start + step, self.height)
            narrow = cv2.resize(self.read(start, stop), (size, stop - start), interpolation=cv2.INTER_AREA)
            first, weights = _area_weights(start, stop, self.height, size)
            sums[first : first + len(weights)] += weights @ narrow.reshape(stop - start, -1).astype(np.float32)
        return np.rint(sums).clip(0, 255).astype(np.uint8).reshape(size, size, 3)

    def _boxes(self, start: int, stop: int) -> Iterator[_Box]:
        wide = min(self.width, BLOCK_PIXELS)
        high = max(1, BLOCK_PIXELS // wide)
        for upper in range(start, stop, high):
            for left in range(0, self.width, wide):
                yield left, upper, min(left + wide, self.width), min(upper + high, stop)

    def _rgb(self, block: Image.Image) -> np.ndarray:
        if _is_wide_grey(block):
            values = np.asarray(block, dtype=np.float32) * (255.0 / self._top)
            return np.clip(values, 0, 255).astype(np.uint8)[..., None]
        if block.has_transparency_data:
            block = block.convert("RGBA")
            if block.getchannel("A").getextrema() != (255, 255):
                block = Image.alpha_composite(Image.new("RGBA", block.size, _WHITE), block)
        return np.asarray(block.convert("RGB"))

    def _top_of_wide_grey(self) -> float:
        """The value that becomes white; Pillow's own conversion clips instead of scaling."""
        if not _is_wide_grey(self._crop((0, 0, 1, 1))):
            return 255.0
        blocks = (np.asarray(self._crop(box), dtype=np.float32) for box in self._boxes(0, self.height))
        return 65_535.0 if max(float(block.max(initial=0.0)) for block in blocks) > 255 else 255.0


def _is_wide_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _area_weights(start: int, stop: int, height: int, size: int) -> tuple[int, np.ndarray]:
    """What rows `start` to `stop` - 1 of `height` add to each of `size` rows of means.

    Returns:
        the first row that they add to, and (rows they add to, stop - start) float32; a row of all `height` sums to 1.
    """
    first, last = start * size // height, (stop * size - 1) // height
    edges = np.arange(first, last + 2) * (height / size)
    rows = np.arange(start, stop)
    covered = np.minimum(edges[1:, None], rows + 1) - np.maximum(edges[:-1, None], rows)
    return first, (covered.clip(0) * (size / height)).astype(np.float32)
