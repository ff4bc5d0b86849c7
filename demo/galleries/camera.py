"""What happens to a picture before it is a file: a shop's new cut of a shot, a user's careless photo, compression."""

import io

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

PICTURE_SIZE = 160
"""Height and width of a picture, pixels."""


def encode(image: Image.Image, generator: np.random.Generator) -> bytes:
    """Shrink to PICTURE_SIZE and compress as JPEG."""
    small = image.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=int(generator.integers(74, 94)))
    return buffer.getvalue()


def recut(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Return nearly the same picture, as sellers upload it twice: cut by a hair, a bit lighter, or with a badge."""
    side = image.width
    lost = generator.uniform(0, 0.03, 4) * side
    cut = image.crop((int(lost[0]), int(lost[1]), side - int(lost[2]), side - int(lost[3]))).resize((side, side))
    lit = ImageEnhance.Brightness(cut).enhance(generator.uniform(0.96, 1.05))
    pixels = np.array(lit)
    if generator.random() < 0.3:
        x, y = (int(value) for value in generator.choice([28, side - 28], 2))
        cv2.circle(pixels, (x, y), 20, [int(value) for value in generator.integers(0, 255, 3)], -1, cv2.LINE_AA)
    return Image.fromarray(pixels)


def photograph(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Return the picture as a user's phone took it: askew, cut, too dark or in coloured light, blurred and grainy."""
    side = image.width
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    angle = np.radians(generator.normal(0, 14))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = side / 2 + generator.normal(0, 0.05, 2) * side
    seen = (corners - side / 2) @ rotation.T * generator.uniform(0.68, 0.95) + middle
    seen += generator.normal(0, 0.035, (4, 2)) * side
    matrix = cv2.getPerspectiveTransform(seen.astype(np.float32), corners)
    pixels = cv2.warpPerspective(np.asarray(image), matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    light = generator.uniform(0.45, 1.1) * (1 + generator.normal(0, 0.06, 3))
    grain = generator.normal(0, generator.uniform(2, 9), pixels.shape)
    shown = np.clip(255 * (pixels / 255.0) ** generator.uniform(0.85, 1.35) * light + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(shown).filter(ImageFilter.GaussianBlur(generator.uniform(0, 2)))
