"""Reads the drawing of each leaf from `demo/drawings.toml`, which explains the language of shapes."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Shape:
    """One shape of a drawing.

    Args:
        fill: a palette colour or `#rrggbb`.
        points: (N, 2) float on the 100 x 100 square; an outline, or the path of a stroke.
        width: width of the stroke on the same square; 0 for a filled outline.
        is_optional: True for a shape drawn in about half of the pictures.
    """

    fill: str
    points: np.ndarray
    width: float
    is_optional: bool


@dataclass(frozen=True)
class Drawing:
    """The shapes of a leaf, the lowest first, and the range of its main hue, degrees."""

    shapes: tuple[Shape, ...]
    hues: tuple[float, float]
    has_own_hues: bool


@cache
def load_drawings() -> dict[str, Drawing]:
    """Load all drawings, by the name of the leaf.

    Raises:
        ValueError: a line names an unknown kind of shape.
    """
    document = tomllib.loads(Path(__file__).with_name("drawings.toml").read_text(encoding="utf-8"))
    hues = document["hues"]
    return {
        leaf: Drawing(tuple(_shapes(lines)), tuple(hues.get(leaf, (0, 360))), leaf in hues)
        for leaf, lines in document["drawings"].items()
    }


def _shapes(lines: str) -> Iterator[Shape]:
    for line in lines.strip().splitlines():
        shape = line.strip()
        yield from parse(shape.removeprefix("?"), shape.startswith("?"))


def parse(line: str, is_optional: bool) -> Iterator[Shape]:
    """Yield the shapes of one line: one, or the boxes of a grid."""
    kind, fill, *rest = line.split()
    numbers = [float(number) for number in rest]
    width = 0.0
    if kind == "box":
        outlines = [_box(*numbers)]
    elif kind == "oval":
        outlines = [_oval(*numbers)]
    elif kind == "poly":
        outlines = [np.array(numbers).reshape(-1, 2)]
    elif kind == "line":
        width, outlines = numbers[0], [np.array(numbers[1:]).reshape(-1, 2)]
    elif kind == "arc":
        width, outlines = numbers[0], [_oval(*numbers[1:])]
    elif kind == "grid":
        outlines = list(_grid(*numbers))
    else:
        raise ValueError(f"expected box, oval, poly, line, arc or grid, found {kind!r} in {line!r}")
    for points in outlines:
        yield Shape(fill, points, width, is_optional)


def _oval(x: float, y: float, radius_x: float, radius_y: float, start: float = 0, end: float = 360) -> np.ndarray:
    angles = np.radians(np.linspace(start, end, 33))
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def _box(left: float, top: float, right: float, bottom: float, radius: float = 0) -> np.ndarray:
    if radius == 0:
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    x0, y0, x1, y1 = left + radius, top + radius, right - radius, bottom - radius
    corners = [(x1, y1, 0), (x0, y1, 90), (x0, y0, 180), (x1, y0, 270)]
    return np.concatenate([_oval(x, y, radius, radius, start, start + 90)[::4] for x, y, start in corners])


def _grid(left: float, top: float, right: float, bottom: float, columns: float, rows: float) -> Iterator[np.ndarray]:
    across, down = (right - left) / columns, (bottom - top) / rows
    for row in range(int(rows)):
        for column in range(int(columns)):
            x, y = left + column * across, top + row * down
            yield _box(x + 0.12 * across, y + 0.12 * down, x + 0.88 * across, y + 0.88 * down)
