"""The expected time of parts, from the times of those before."""

from collections import deque
from collections.abc import Sequence
from statistics import median

from server.inference.part import Part

#: A pause of the machine lengthens a few frames; their median does not move, a mean would reject callers for seconds.
_NUM_NEWEST = 9
_CHARS_PER_UNIT = 500


class _Rate:
    """A median of the newest seconds per unit."""

    def __init__(self, first_s: float):
        self.seconds = first_s
        self._newest: deque[float] = deque(maxlen=_NUM_NEWEST)

    def add(self, seconds: float) -> None:
        self._newest.append(seconds)
        self.seconds = median(self._newest)


class CostModel:
    """Estimates the time of parts: so many seconds a text, a picture, and a pixel of a large picture."""

    def __init__(self) -> None:
        self._text = _Rate(0.0005)
        self._picture = _Rate(0.005)
        self._large_pixel = _Rate(15e-9)

    def seconds(self, part: Part) -> float:
        """The expected time of a part on one engine process, seconds."""
        return (
            _text_units(part) * self._text.seconds
            + part.num_pictures * self._picture.seconds
            + part.num_pixels * self._large_pixel.seconds
        )

    def add(self, parts: Sequence[Part], decode_s: float, inference_s: float) -> None:
        """Record the times of a frame."""
        text_units = sum(map(_text_units, parts))
        num_pictures = sum(part.num_pictures for part in parts)
        if not num_pictures:
            self._text.add((decode_s + inference_s) / text_units)
        elif num_pixels := sum(part.num_pixels for part in parts):
            self._large_pixel.add(decode_s / num_pixels)
        else:
            rest_s = decode_s + inference_s - text_units * self._text.seconds
            self._picture.add(max(rest_s, inference_s / 2) / num_pictures)


def _text_units(part: Part) -> float:
    return part.num_products + part.num_chars / _CHARS_PER_UNIT
