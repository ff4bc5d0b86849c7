"""Draws the picture of a product: its leaf's shapes in random colours, position, size and rotation."""

import colorsys
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.drawings import Drawing, Shape, load_drawings

PICTURE_SIZE = 128
"""Height and width of a picture, pixels."""
_CANVAS = 2 * PICTURE_SIZE
_OPTIONAL = 0.5

Color = tuple[int, int, int]


def draw_picture(leaf: str, generator: np.random.Generator) -> bytes:
    """Draw one picture of a product of this leaf.

    Args:
        leaf: the last level of its category, a name in drawings.toml.
        generator: source of every random choice; the same state gives the same picture.
    Returns:
        A JPEG of PICTURE_SIZE x PICTURE_SIZE.
    """
    drawing = load_drawings()[leaf]
    shapes = [shape for shape in drawing.shapes if not shape.is_optional or generator.random() < _OPTIONAL]
    image = _background(generator)
    transformed = _transform(shapes, generator)
    _draw_shadow(image, transformed, generator)
    palette = draw_palette(drawing, generator)
    draw = ImageDraw.Draw(image)
    for shape in transformed:
        draw_shape(draw, shape, palette.get(shape.fill, shape.fill))
    if generator.random() < 0.2:
        _draw_sticker(draw, generator)
    return _encode(image, generator)


def _transform(shapes: list[Shape], generator: np.random.Generator) -> list[Shape]:
    """Rotate, stretch, mirror and move the whole drawing, with small random shifts of its shapes; in canvas pixels."""
    angle = np.radians(generator.normal(0, 7))
    scale = generator.uniform(0.72, 0.96) * _CANVAS / 100
    stretch = np.exp(generator.normal(0, 0.07, 2)) * [generator.choice([-1, 1]), 1]
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    room = (_CANVAS - 100 * scale) / 2
    center = _CANVAS / 2 + generator.uniform(-room, room, 2)
    transformed = []
    for shape in shapes:
        shifted = shape.points - 50 + generator.normal(0, 0.5, (1, 2))
        points = (shifted * stretch) @ rotation.T * scale + center
        transformed.append(Shape(shape.fill, points, shape.width * scale, shape.is_optional))
    return transformed


def draw_shape(draw: ImageDraw.ImageDraw, shape: Shape, color: Color | str | int) -> None:
    """Draw a shape whose points are pixels: an outline filled, a path as a stroke."""
    points = [(float(x), float(y)) for x, y in shape.points]
    if shape.width:
        draw.line(points, fill=color, width=max(1, round(shape.width)), joint="curve")
    else:
        draw.polygon(points, fill=color)


def _draw_shadow(image: Image.Image, shapes: list[Shape], generator: np.random.Generator) -> None:
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    shift = generator.uniform(-10, 14, 2)
    for shape in shapes:
        draw_shape(draw, Shape(shape.fill, shape.points + shift, shape.width, False), int(generator.integers(40, 110)))
    image.paste((30, 30, 36), mask=mask.filter(ImageFilter.GaussianBlur(7)))


def draw_palette(drawing: Drawing, generator: np.random.Generator) -> dict[str, Color]:
    """Draw a colour for each name of the palette; the main hue is one of the drawing's."""
    hue = generator.uniform(*drawing.hues) / 360
    saturation = generator.uniform(0.45, 0.95) if drawing.has_own_hues else generator.beta(1.2, 1.4)
    value = generator.uniform(0.45 if drawing.has_own_hues else 0.3, 0.95)
    return {
        "main": hsv_color(hue, saturation, value),
        "dark": hsv_color(hue, saturation, value * 0.62),
        "lite": hsv_color(hue, saturation * 0.55, 0.45 + value * 0.55),
        "spot": hsv_color(hue + generator.uniform(0.25, 0.75), generator.uniform(0.4, 0.95), generator.uniform(0.5, 1)),
        "ink": hsv_color(generator.random(), 0.15, generator.uniform(0.08, 0.25)),
        "pale": hsv_color(generator.random(), 0.05, generator.uniform(0.88, 1)),
    }


def hsv_color(hue: float, saturation: float, value: float) -> Color:
    """A colour as red, green, blue, 0 to 255.

    Args:
        hue: in turns; 1 is 0 again.
        saturation, value: 0 to 1; a greater value counts as 1.
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, min(value, 1))
    return round(255 * red), round(255 * green), round(255 * blue)


def _background(generator: np.random.Generator) -> Image.Image:
    """Draw a background: mostly a white or pastel gradient, sometimes with the edge of a table or stripes."""
    wall = np.array(hsv_color(generator.random(), generator.beta(1, 7), generator.uniform(0.8, 1)), float)
    other = np.array(hsv_color(generator.random(), generator.beta(1, 5), generator.uniform(0.6, 0.95)), float)
    fade = np.linspace(0, generator.uniform(-40, 15), _CANVAS)[:, None]
    rows = np.clip(wall + fade, 0, 255).astype(np.uint8)
    kind = generator.random()
    if kind < 0.25:
        rows[int(generator.uniform(0.5, 0.85) * _CANVAS) :] = other
    pixels = np.repeat(rows[:, None], _CANVAS, axis=1)
    if 0.25 <= kind < 0.4:
        step = int(generator.integers(14, 40))
        pixels[:, np.arange(_CANVAS) % step < step // 2] = 0.6 * wall + 0.4 * other
    return Image.fromarray(pixels)


def _draw_sticker(draw: ImageDraw.ImageDraw, generator: np.random.Generator) -> None:
    """Draw a seller's badge in a corner, or a band with a slogan."""
    color = hsv_color(generator.random(), 0.85, 0.9)
    if generator.random() < 0.6:
        x, y = generator.choice([26, _CANVAS - 26], 2)
        draw.ellipse([x - 24, y - 24, x + 24, y + 24], fill=color)
        lines = [(x - 14, y - 6, x + 14), (x - 9, y + 6, x + 9)]
    else:
        top = int(generator.choice([0, _CANVAS - 30]))
        draw.rectangle([0, top, _CANVAS, top + 30], fill=color)
        lines = [(40, top + 15, int(generator.integers(90, 220)))]
    for left, y, right in lines:
        draw.line([(left, y), (right, y)], fill=(255, 255, 255), width=5)


def _encode(image: Image.Image, generator: np.random.Generator) -> bytes:
    """Shrink, add blur and noise as of a camera, and compress."""
    small = image.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BOX)
    if generator.random() < 0.2:
        small = small.filter(ImageFilter.GaussianBlur(generator.uniform(0.4, 1.2)))
    noise = generator.normal(0, generator.uniform(0, 7), (PICTURE_SIZE, PICTURE_SIZE, 1))
    pixels = np.clip(np.asarray(small, dtype=float) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(generator.integers(78, 93)))
    return buffer.getvalue()
