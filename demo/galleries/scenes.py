"""Backgrounds of a gallery's pictures: a studio, a street, a room."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.pictures import hsv_color

CANVAS = 320
"""Height and width that pictures are drawn in, pixels; they are shrunk to half of it."""


def studio(generator: np.random.Generator) -> Image.Image:
    """A seamless wall, white or nearly so, a little darker towards the bottom."""
    wall = np.array(hsv_color(generator.random(), generator.beta(1, 14), generator.uniform(0.9, 1)), float)
    fade = np.linspace(0, generator.uniform(-26, 4), CANVAS)[:, None]
    rows = np.clip(wall + fade, 0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], CANVAS, axis=1))


def street(generator: np.random.Generator) -> Image.Image:
    """Houses with windows under a sky, pavement, and sometimes trees; out of focus."""
    image = _gradient(
        hsv_color(generator.uniform(0.5, 0.65), generator.uniform(0.1, 0.5), generator.uniform(0.7, 1)),
        hsv_color(generator.uniform(0.05, 0.6), 0.12, generator.uniform(0.8, 1)),
    )
    draw = ImageDraw.Draw(image)
    ground = int(CANVAS * generator.uniform(0.62, 0.82))
    left = -int(generator.uniform(0, 60))
    while left < CANVAS:
        width = int(generator.uniform(60, 130))
        _house(draw, (left, int(generator.uniform(0, 0.35) * CANVAS), left + width, ground), generator)
        left += width
    gray = generator.uniform(0.35, 0.7)
    draw.rectangle([0, ground, CANVAS, CANVAS], fill=hsv_color(generator.random(), 0.08, gray))
    for _ in range(int(generator.integers(2, 6))):
        y = int(generator.uniform(ground, CANVAS))
        draw.line([(0, y), (CANVAS, y + int(generator.normal(0, 12)))], fill=hsv_color(0, 0, gray * 0.8), width=3)
    for _ in range(int(generator.integers(0, 3))):
        _tree(draw, int(generator.uniform(0, CANVAS)), ground, generator)
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(0.5, 3)))


def room(generator: np.random.Generator) -> Image.Image:
    """A corner of somebody's home: a wall, a floor or a table of boards, frames, a lamp or a plant."""
    wall = hsv_color(generator.random(), generator.uniform(0.05, 0.45), generator.uniform(0.45, 0.95))
    image = _gradient(wall, tuple(int(0.85 * value) for value in wall))
    draw = ImageDraw.Draw(image)
    edge = int(CANVAS * generator.uniform(0.2, 0.75))
    wood = (generator.uniform(0.03, 0.12), generator.uniform(0.2, 0.7), generator.uniform(0.3, 0.8))
    for top in range(edge, CANVAS, max(12, int(generator.uniform(16, 40)))):
        draw.rectangle(
            [0, top, CANVAS, CANVAS], fill=hsv_color(wood[0], wood[1], wood[2] * generator.uniform(0.85, 1.1))
        )
    for _ in range(int(generator.integers(1, 4))):
        x, y = generator.uniform(0, CANVAS), generator.uniform(0, edge)
        w, h = generator.uniform(30, 100, 2)
        fill = hsv_color(generator.random(), generator.uniform(0.1, 0.8), generator.uniform(0.2, 1))
        draw.rectangle([x, y, x + w, y + h], fill=fill, outline=hsv_color(0.08, 0.4, 0.3), width=4)
    if generator.random() < 0.5:
        _tree(draw, int(generator.uniform(0, CANVAS)), edge + 20, generator)
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 2)))


def _gradient(top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    shares = np.linspace(0, 1, CANVAS)[:, None]
    rows = ((1 - shares) * np.array(top) + shares * np.array(bottom)).astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], CANVAS, axis=1))


def _house(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], generator: np.random.Generator) -> None:
    left, top, right, bottom = box
    hue, value = generator.uniform(0, 0.15), generator.uniform(0.3, 0.85)
    draw.rectangle(box, fill=hsv_color(hue, generator.uniform(0.05, 0.5), value))
    pane = hsv_color(0.58, 0.25, generator.uniform(0.3, 1))
    step = int(generator.uniform(22, 34))
    for y in range(top + 10, bottom - step, step):
        for x in range(left + 8, right - 12, step):
            draw.rectangle([x, y, x + step // 2, y + step * 2 // 3], fill=pane)


def _tree(draw: ImageDraw.ImageDraw, x: int, ground: int, generator: np.random.Generator) -> None:
    height = generator.uniform(70, 170)
    draw.rectangle([x - 5, ground - height * 0.6, x + 5, ground], fill=(90, 66, 44))
    leaves = hsv_color(generator.uniform(0.22, 0.4), 0.5, generator.uniform(0.35, 0.7))
    for _ in range(6):
        dx, dy = generator.normal(0, 18, 2)
        radius = generator.uniform(18, 34)
        middle = (x + dx, ground - height + dy + 20)
        draw.ellipse([middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius], fill=leaves)
