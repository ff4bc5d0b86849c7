"""The pictures of a gallery, one function for each image type that shows an item."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from demo.galleries.looks import Look, cut_out
from demo.galleries.people import put_on_person
from demo.galleries.scenes import CANVAS, room, street, studio


def product_in_shop(look: Look, generator: np.random.Generator) -> Image.Image:
    """Draw an item alone before a studio's wall."""
    image = studio(generator)
    _put(image, look, generator, generator.uniform(0.7, 0.92), generator.normal(0, 7), spread=0.03)
    return image


def product_in_scene(look: Look, generator: np.random.Generator, clutter: Sequence[Look] = ()) -> Image.Image:
    """Draw an item in a room or on a street, with other things around it.

    Args:
        clutter: what lies around, small and mostly behind it.
    """
    image = room(generator) if generator.random() < 0.6 else street(generator)
    for other in clutter:
        _put(image, other, generator, generator.uniform(0.18, 0.34), generator.uniform(-90, 90), spread=0.42)
    _put(image, look, generator, generator.uniform(0.5, 0.78), generator.normal(0, 12), spread=0.08)
    return image


def model_in_shop(look: Look, generator: np.random.Generator) -> Image.Image:
    """Draw a person with an item before a studio's wall."""
    image = studio(generator)
    put_on_person(image, look, generator)
    return image


def model_in_scene(look: Look, generator: np.random.Generator) -> Image.Image:
    """Draw a person with an item on a street or in a room."""
    image = street(generator) if generator.random() < 0.75 else room(generator)
    put_on_person(image, look, generator)
    return image


def detail(look: Look, generator: np.random.Generator) -> Image.Image:
    """Draw a part of an item from so near that the whole is not seen."""
    zoom = generator.uniform(2.8, 4.2)
    layer = cut_out(look, round(CANVAS * zoom))
    x, y = (CANVAS * zoom * (value + 4 + generator.normal(0, 5)) / 108 for value in look.emblem_at)
    left, top = (int(np.clip(value - CANVAS / 2, 0, layer.width - CANVAS)) for value in (x, y))
    part = layer.crop((left, top, left + CANVAS, top + CANVAS)).rotate(generator.normal(0, 6))
    image = studio(generator)
    image.paste(part, mask=part)
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(0, 0.8)))


def several(looks: Sequence[Look], generator: np.random.Generator) -> Image.Image:
    """Draw several items beside each other before a studio's wall, two to six."""
    image = studio(generator)
    columns = 2 if len(looks) <= 4 else 3
    rows = -(-len(looks) // columns)
    side = CANVAS // max(columns, rows)
    for number, look in enumerate(looks):
        row, column = divmod(number, columns)
        size = round(side * generator.uniform(0.82, 0.98))
        layer = cut_out(look, size).rotate(generator.normal(0, 4), Image.Resampling.BICUBIC)
        x = (column + 0.5) * CANVAS / columns - size / 2
        y = (row + 0.5) * CANVAS / rows - size / 2
        image.paste(layer, (round(x), round(y)), layer)
    return image


def _put(
    image: Image.Image, look: Look, generator: np.random.Generator, share: float, angle: float, spread: float
) -> None:
    """Put an item with its shadow into a picture, in place.

    Args:
        share: of the picture's width that it takes.
        spread: standard deviation of its place around the middle, as a share of the picture's width.
    """
    size = round(CANVAS * share)
    layer = cut_out(look, size)
    if generator.random() < 0.3:
        layer = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    layer = layer.rotate(angle, Image.Resampling.BICUBIC)
    room_left = (CANVAS - size) / 2
    x, y = room_left + np.clip(generator.normal(0, spread, 2) * CANVAS, -room_left - 0.1 * size, room_left + 0.1 * size)
    shadow = layer.getchannel("A").point(lambda value: value // 3)
    image.paste((24, 24, 30), (round(x + 7), round(y + 9)), shadow.filter(ImageFilter.GaussianBlur(6)))
    image.paste(layer, (round(x), round(y)), layer)
