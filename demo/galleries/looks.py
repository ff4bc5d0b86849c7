"""The look of an item: what stays the same in all of its pictures, and its cut-out to put into them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.drawings import Shape, load_drawings
from demo.pictures import Color, draw_palette, draw_shape, hsv_color

Pattern = Literal["plain", "stripes", "bars", "checks", "dots"]
Emblem = Literal["none", "disc", "star", "letter", "band"]
_PATTERNS: tuple[Pattern, ...] = ("plain", "stripes", "bars", "checks", "dots")
_EMBLEMS: tuple[Emblem, ...] = ("none", "disc", "star", "letter", "band")
_OPTIONAL = 0.5
_MARGIN = 4  # of the square of 100 x 100 around a drawing, so that nothing is cut off when it is turned


@dataclass(frozen=True)
class Look:
    """The look of an item.

    Args:
        leaf: its drawing, a name in drawings.toml.
        shapes: on the square of 100 x 100, the lowest first.
        palette: colours by the names that shapes give.
        pattern: of the main parts.
        pattern_color: of its lines or dots.
        pattern_step: their distance, on the square.
        emblem: on the main part.
        emblem_color: of it.
        emblem_at: its middle on the square.
        emblem_size: its radius on the square.
    """

    leaf: str
    shapes: tuple[Shape, ...]
    palette: dict[str, Color]
    pattern: Pattern
    pattern_color: Color
    pattern_step: float
    emblem: Emblem
    emblem_color: Color
    emblem_at: tuple[float, float]
    emblem_size: float


def compose_look(leaf: str, generator: np.random.Generator) -> Look:
    """Compose the look of an item of some leaf; the same state of the generator gives the same one."""
    drawing = load_drawings()[leaf]
    kept = [shape for shape in drawing.shapes if not shape.is_optional or generator.random() < _OPTIONAL]
    stretch = np.exp(generator.normal(0, 0.06, 2))
    shapes = tuple(
        Shape(shape.fill, (shape.points - 50) * stretch + 50 + generator.normal(0, 0.4, (1, 2)), shape.width, False)
        for shape in kept
    )
    hue = generator.random()
    return Look(
        leaf,
        shapes,
        draw_palette(drawing, generator),
        _PATTERNS[generator.integers(len(_PATTERNS))],
        hsv_color(hue, generator.uniform(0.1, 0.9), generator.uniform(0.2, 1)),
        generator.uniform(6, 14),
        _EMBLEMS[generator.integers(len(_EMBLEMS))],
        hsv_color(generator.random(), generator.uniform(0.3, 1), generator.uniform(0.4, 1)),
        _inside(shapes, generator),
        generator.uniform(5, 10),
    )


def cut_out(look: Look, side: int) -> Image.Image:
    """Draw an item on nothing: an RGBA picture of side x side."""
    scale = side / (100 + 2 * _MARGIN)
    layer = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    texture = _texture(look, side, scale) if look.pattern != "plain" else None
    main = Image.new("L", (side, side), 0)
    for shape in look.shapes:
        placed = Shape(shape.fill, (shape.points + _MARGIN) * scale, shape.width * scale, False)
        draw_shape(draw, placed, look.palette.get(shape.fill, shape.fill))
        if shape.fill == "main":
            mask = Image.new("L", (side, side), 0)
            draw_shape(ImageDraw.Draw(mask), placed, 255)
            if texture is not None:
                layer.paste(texture, mask=mask)
            main.paste(mask, mask=mask)
    if look.emblem != "none":
        emblem = Image.new("RGBA", layer.size, (0, 0, 0, 0))
        _draw_emblem(ImageDraw.Draw(emblem), look, scale)
        layer.paste(emblem, mask=Image.composite(emblem.getchannel("A"), Image.new("L", layer.size, 0), main))
    return layer


def _inside(shapes: tuple[Shape, ...], generator: np.random.Generator) -> tuple[float, float]:
    """A point well inside the main parts."""
    mask = Image.new("L", (100, 100), 0)
    for shape in shapes:
        if shape.fill == "main":
            draw_shape(ImageDraw.Draw(mask), shape, 255)
    pixels = np.asarray(mask)
    for radius in (13, 7, 3):
        rows, columns = np.nonzero(np.asarray(mask.filter(ImageFilter.MinFilter(radius))))
        if len(rows):
            break
    else:
        rows, columns = np.nonzero(pixels)
    chosen = int(generator.integers(max(len(rows), 1)))
    return (float(columns[chosen]), float(rows[chosen])) if len(rows) else (50.0, 50.0)


def _texture(look: Look, side: int, scale: float) -> Image.Image:
    """The pattern on the main colour, as large as the picture."""
    step = look.pattern_step * scale
    across, down = np.meshgrid(np.arange(side) % step, np.arange(side) % step)
    thin = step * 0.4
    is_line = {
        "stripes": down < thin,
        "bars": across < thin,
        "checks": (down < thin) ^ (across < thin),
        "dots": (across - step / 2) ** 2 + (down - step / 2) ** 2 < (0.3 * step) ** 2,
    }[look.pattern]
    pixels = np.where(is_line[:, :, None], np.array(look.pattern_color), np.array(look.palette["main"]))
    return Image.fromarray(pixels.astype(np.uint8))


def _draw_emblem(draw: ImageDraw.ImageDraw, look: Look, scale: float) -> None:
    x, y = ((value + _MARGIN) * scale for value in look.emblem_at)
    radius = look.emblem_size * scale
    if look.emblem == "disc":
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=look.emblem_color)
        draw.ellipse([x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2], fill=(255, 255, 255))
    elif look.emblem == "star":
        angles = np.radians(np.arange(10) * 36 - 90)
        lengths = radius * np.where(np.arange(10) % 2, 0.45, 1.15)
        star = zip(x + lengths * np.cos(angles), y + lengths * np.sin(angles), strict=True)
        draw.polygon([(float(a), float(b)) for a, b in star], fill=look.emblem_color)
    elif look.emblem == "letter":
        width = max(1, round(radius * 0.4))
        stroke = [
            (x - radius, y + radius),
            (x - radius, y - radius),
            (x, y),
            (x + radius, y - radius),
            (x + radius, y + radius),
        ]
        draw.line(stroke, fill=look.emblem_color, width=width)
    else:
        draw.rectangle([0, y - radius / 2, 200 * scale, y + radius / 2], fill=look.emblem_color)
