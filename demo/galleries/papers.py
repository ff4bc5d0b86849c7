"""Pictures of a gallery that show no product: tables of sizes, and banners of all kinds."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.drawings import load_drawings
from demo.galleries.scenes import CANVAS
from demo.pictures import Color, hsv_color

_SIZES = (
    ("S", "M", "L", "XL"),
    ("44", "55", "66", "77"),
    ("230", "240", "250", "260", "270"),
    ("FREE",),
    ("1", "2", "3"),
)
_MEASURES = ("TOTAL", "SHOULDER", "CHEST", "WAIST", "HIP", "SLEEVE", "LENGTH", "WIDTH", "HEEL", "HEIGHT")
_SLOGANS = (
    "FREE DELIVERY",
    "NEW SEASON",
    "50% OFF",
    "THANK YOU",
    "100% COTTON",
    "NOTICE",
    "GIFT EVENT",
    "MADE IN KOREA",
)
_LINES = (
    "orders before 3 pm leave today",
    "return within 7 days",
    "colours may differ",
    "wash at 30 degrees",
    "one per customer",
)


def draw_chart(leaf: str, generator: np.random.Generator) -> Image.Image:
    """Draw a size chart: a table of measures, often with the outline of what is measured."""
    tint = generator.random()
    image = Image.new("RGB", (CANVAS, CANVAS), hsv_color(tint, generator.beta(1, 9), generator.uniform(0.94, 1)))
    draw = ImageDraw.Draw(image)
    ink = hsv_color(tint, 0.3, generator.uniform(0.1, 0.4))
    head = hsv_color(tint + generator.uniform(-0.1, 0.1), generator.uniform(0, 0.7), generator.uniform(0.4, 0.95))
    draw.text((CANVAS / 2, 24), "SIZE (cm)" if generator.random() < 0.5 else "SIZE GUIDE", ink, _font(26), anchor="mm")
    top = 48
    if generator.random() < 0.6:
        _draw_outline(draw, leaf, ink)
        top = 166
    sizes = _SIZES[generator.integers(len(_SIZES))]
    measures = generator.permutation(_MEASURES)[: int(generator.integers(3, 6))]
    height = (CANVAS - top - 14) / (len(sizes) + 1)
    width = (CANVAS - 24) / (len(measures) + 1)
    draw.rectangle([12, top, CANVAS - 12, top + height], fill=head)
    for row in range(len(sizes) + 2):
        draw.line([(12, top + row * height), (CANVAS - 12, top + row * height)], fill=ink, width=2)
    for column in range(len(measures) + 2):
        draw.line([(12 + column * width, top), (12 + column * width, top + (len(sizes) + 1) * height)], ink, 2)
    for row, size in enumerate(("", *sizes)):
        cells = measures if row == 0 else [f"{generator.uniform(20, 110):.0f}" for _ in measures]
        for column, text in enumerate((size, *cells)):
            middle = (12 + (column + 0.5) * width, top + (row + 0.5) * height)
            draw.text(middle, str(text)[:8], ink, _font(9 if row == 0 and column else 15), anchor="mm")
    return image


def draw_banner(generator: np.random.Generator) -> Image.Image:
    """Draw what is no product at all: a slogan, a notice, symbols of care, a parcel, a square of bars."""
    hue = generator.random()
    ground = hsv_color(hue, generator.beta(1, 2), generator.uniform(0.3, 1))
    image = Image.new("RGB", (CANVAS, CANVAS), ground)
    draw = ImageDraw.Draw(image)
    ink = (255, 255, 255) if sum(ground) < 400 else hsv_color(hue + 0.5, 0.6, 0.25)
    accent = hsv_color(hue + generator.uniform(0.3, 0.7), 0.8, 0.9)
    kind = generator.integers(5)
    if kind == 0:
        draw.ellipse([40, 40, CANVAS - 40, CANVAS - 40], fill=accent)
    elif kind == 1:
        _draw_care(draw, ink, generator)
    elif kind == 2:
        _draw_parcel(draw)
    elif kind == 3:
        _draw_code(draw, generator)
    else:
        draw.rectangle([0, 120, CANVAS, 200], fill=accent)
    draw.text((CANVAS / 2, 160 if kind in (0, 4) else 40), str(generator.choice(_SLOGANS)), ink, _font(32), anchor="mm")
    for line in range(int(generator.integers(1, 4))):
        text = str(generator.choice(_LINES))
        draw.text((CANVAS / 2, 236 + 26 * line), text, ink, _font(int(generator.integers(13, 19))), anchor="mm")
    return image


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_outline(draw: ImageDraw.ImageDraw, leaf: str, ink: Color) -> None:
    for shape in load_drawings()[leaf].shapes:
        if shape.fill in ("main", "dark") and not shape.is_optional:
            points = [(float(x) * 1.1 + 105, float(y) * 1.1 + 48) for x, y in shape.points]
            draw.line([*points, points[0]], fill=ink, width=2)
    draw.line([(92, 56), (92, 152)], fill=ink, width=2)
    draw.line([(112, 160), (208, 160)], fill=ink, width=2)


def _draw_care(draw: ImageDraw.ImageDraw, ink: Color, generator: np.random.Generator) -> None:
    for number in range(4):
        x = 22 + number * 72
        box = [x, 100, x + 54, 154]
        symbol = generator.integers(3)
        if symbol == 0:
            draw.rectangle(box, outline=ink, width=4)
        elif symbol == 1:
            draw.ellipse(box, outline=ink, width=4)
        else:
            draw.polygon([(x, 154), (x + 54, 154), (x + 27, 100)], outline=ink, width=4)
        if generator.random() < 0.5:
            draw.line([(x, 100), (x + 54, 154)], fill=ink, width=4)


def _draw_parcel(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon([(70, 110), (160, 80), (250, 110), (160, 140)], fill=(205, 164, 110))
    draw.polygon([(70, 110), (160, 140), (160, 215), (70, 185)], fill=(186, 142, 88))
    draw.polygon([(250, 110), (160, 140), (160, 215), (250, 185)], fill=(160, 118, 70))
    draw.polygon([(150, 84), (172, 84), (172, 136), (150, 136)], fill=(230, 205, 160))


def _draw_code(draw: ImageDraw.ImageDraw, generator: np.random.Generator) -> None:
    cells = generator.random((17, 17)) < 0.5
    draw.rectangle([80, 64, 234, 218], fill=(255, 255, 255))
    for row, column in np.argwhere(cells):
        x, y = 90 + 8 * int(column), 74 + 8 * int(row)
        draw.rectangle([x, y, x + 7, y + 7], fill=(20, 20, 20))
