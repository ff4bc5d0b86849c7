"""The expected time of parts, from the times of those before."""

from collections import deque
from collections.abc import Sequence
from statistics import median

from server.inference.part import Part

#: A pause of the machine lengthens a few frames; their median does not move, a mean would reject callers for seconds.
_NUM_NEWEST = 9
#: Characters of a product whose time they make out, rather than the product itself.
_LONG_CHARS = 5_000


class _Rate:
    """A median of the newest seconds per unit."""

    def __init__(self, first_s: float):
        self.seconds = first_s
        self._newest: deque[float] = deque(maxlen=_NUM_NEWEST)

    def add(self, seconds: float) -> None:
        self._newest.append(seconds)
        self.seconds = median(self._newest)


class CostModel:
    """Estimates the time of parts: seconds a product, a character, a picture and a pixel of a large picture."""

    def __init__(self) -> None:
        self._product = _Rate(0.0005)
        self._char = _Rate(0.6e-6)
        self._picture = _Rate(0.005)
        self._large_pixel = _Rate(15e-9)

    def seconds(self, part: Part) -> float:
        """The expected time of a part on one engine process, seconds."""
        return (
            self._text_s(part) + part.num_pictures * self._picture.seconds + part.num_pixels * self._large_pixel.seconds
        )

    def add(self, parts: Sequence[Part], decode_s: float, inference_s: float) -> None:
        """Record the times of a frame: they correct the rate that most of them are due to."""
        num_products = sum(part.num_products for part in parts)
        num_pictures = sum(part.num_pictures for part in parts)
        num_chars = sum(part.num_chars for part in parts)
        if num_pixels := sum(part.num_pixels for part in parts):
            self._large_pixel.add(decode_s / num_pixels)
        elif num_pictures:
            rest_s = decode_s + inference_s - sum(map(self._text_s, parts))
            self._picture.add(max(rest_s, inference_s / 2) / num_pictures)
        elif num_chars > _LONG_CHARS * num_products:
            self._char.add((decode_s + inference_s) / num_chars)
        else:
            self._product.add((decode_s + inference_s) / num_products)

    def _text_s(self, part: Part) -> float:
        return part.num_products * self._product.seconds + part.num_chars * self._char.seconds
