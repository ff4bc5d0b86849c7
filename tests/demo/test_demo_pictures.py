import io

import numpy as np
import pytest
from PIL import Image

from demo.drawings import load_drawings, parse
from demo.pictures import PICTURE_SIZE, draw_picture
from demo.tree import load_groups

LEAVES = [leaf.name for group in load_groups() for leaf in group.leaves]


def test_leaves_and_drawings_correspond():
    assert sorted(load_drawings()) == sorted(LEAVES)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_picture_decodes_and_is_not_blank(leaf: str):
    image = Image.open(io.BytesIO(draw_picture(leaf, np.random.default_rng(0))))
    assert (image.format, image.size) == ("JPEG", (PICTURE_SIZE, PICTURE_SIZE))
    assert np.asarray(image).std() > 10


def test_same_generator_state_gives_the_same_bytes():
    first, again, other = (draw_picture("모자", np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_shapes_stay_inside_the_square():
    for leaf, drawing in load_drawings().items():
        for shape in drawing.shapes:
            assert shape.points.min() >= 0, leaf
            assert shape.points.max() <= 100, leaf


def test_box_with_round_corners_touches_its_four_sides():
    (shape,) = parse("box main 10 20 90 60 8", is_optional=False)
    assert shape.points.min(axis=0) == pytest.approx([10, 20])
    assert shape.points.max(axis=0) == pytest.approx([90, 60])


def test_grid_has_columns_times_rows_boxes():
    assert len(list(parse("grid main 0 0 100 100 3 2", is_optional=False))) == 6


def test_unknown_kind_of_shape_is_named():
    with pytest.raises(
        ValueError, match=r"expected box, oval, poly, line, arc or grid, found 'blob' in 'blob main 1 2'"
    ):
        list(parse("blob main 1 2", is_optional=False))
