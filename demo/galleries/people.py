"""A drawn person who wears or carries an item."""

import numpy as np
from PIL import Image, ImageDraw

from demo.galleries.looks import Look, cut_out
from demo.pictures import Color, hsv_color

#: Where an item is worn on a figure of 100 x 200: its middle, and its width. Shoes come in pairs at the feet.
_WORN: dict[str, tuple[float, float, float]] = {
    "원피스": (50, 82, 86),
    "스커트": (50, 112, 62),
    "티셔츠": (50, 68, 76),
    "청바지": (50, 138, 82),
    "운동화": (50, 186, 40),
    "구두": (50, 186, 40),
    "부츠": (50, 178, 44),
    "백팩": (70, 74, 58),
    "토트백": (84, 112, 52),
    "모자": (50, 12, 36),
    "선글라스": (50, 26, 32),
    "손목시계": (84, 112, 26),
}
_CARRIED = (50, 84, 60)
_SKIN: tuple[Color, ...] = ((250, 218, 192), (232, 190, 158), (198, 146, 108), (140, 96, 66), (96, 66, 48))


def put_on_person(scene: Image.Image, look: Look, generator: np.random.Generator) -> None:
    """Draw a person with an item into a scene, in place; what is cut off at the edges is as fashion pictures have it.

    Args:
        scene: RGB, changed.
    """
    x, y, width = _WORN.get(look.leaf, _CARRIED)
    side = float(scene.width)
    # The item is what the picture is about, so small ones are seen from nearer.
    scale = min(side * generator.uniform(0.36, 0.6) / width, side / 42)
    left = side / 2 - x * scale + generator.normal(0, 0.06) * side
    top = side / 2 - y * scale + generator.normal(0, 0.06) * side
    _draw_figure(ImageDraw.Draw(scene), (left, top), scale, generator)
    item = cut_out(look, max(8, round(width * scale)))
    if generator.random() < 0.5:
        item = item.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    item = item.rotate(generator.normal(0, 8), Image.Resampling.BICUBIC)
    corner = (round(left + x * scale - item.width / 2), round(top + y * scale - item.height / 2))
    scene.paste(item, corner, item)


def _draw_figure(
    draw: ImageDraw.ImageDraw, origin: tuple[float, float], scale: float, generator: np.random.Generator
) -> None:
    skin = _SKIN[generator.integers(len(_SKIN))]
    hair = hsv_color(generator.uniform(0.02, 0.12), 0.5, generator.uniform(0.08, 0.7))
    top, bottom = (
        hsv_color(generator.random(), generator.uniform(0, 0.6), generator.uniform(0.2, 1)) for _ in range(2)
    )

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(origin[0] + x * scale, origin[1] + y * scale) for x, y in points]

    def limb(color: Color, width: float, *points: tuple[float, float]) -> None:
        draw.line(at(*points), fill=color, width=max(1, round(width * scale)), joint="curve")

    swing = generator.normal(0, 5)
    draw.ellipse(at((33, 3), (67, 48)), fill=hair)
    limb(skin, 9, (36, 60), (20 + swing, 88), (18 + swing, 114))
    limb(skin, 9, (64, 60), (80 - swing, 88), (84 - swing, 112))
    limb(skin, 10, (43, 118), (42 - swing, 150), (41 - swing, 186))
    limb(skin, 10, (57, 118), (58 + swing, 150), (60 + swing, 186))
    limb(bottom, 15, (43, 108), (42 - swing, 150), (41 - swing, 180))
    limb(bottom, 15, (57, 108), (58 + swing, 150), (60 + swing, 180))
    draw.polygon(at((36, 54), (64, 54), (66, 114), (34, 114)), fill=top)
    limb(top, 12, (38, 60), (24 + swing, 84))
    limb(top, 12, (62, 60), (76 - swing, 84))
    limb(skin, 9, (50, 40), (50, 56))
    draw.ellipse(at((38, 8), (62, 42)), fill=skin)
    draw.pieslice(at((36, 4), (64, 32)), 180, 360, fill=hair)
    for x in (45, 55):
        draw.ellipse(at((x - 1.4, 24), (x + 1.4, 27)), fill=(40, 36, 40))
    draw.arc(at((44, 26), (56, 36)), 30, 150, fill=(150, 70, 70), width=max(1, round(scale)))
    for heel in (38 - swing, 57 + swing):
        draw.ellipse(at((heel, 180), (heel + 9, 190)), fill=(50, 44, 44))
