import pytest

from server.inference.cost_model import CostModel
from tests.server.support import part_of


def seconds(model: CostModel, **counts: int) -> float:
    return model.seconds(part_of(**counts))


def test_more_products_pictures_and_characters_take_longer():
    model = CostModel()
    one = seconds(model, num_products=1)
    assert one > 0
    assert seconds(model, num_products=10) == pytest.approx(10 * one)
    assert seconds(model, num_products=1, num_chars=5000) > one
    assert seconds(model, num_products=1, num_pictures=1) > one
    large = seconds(model, num_products=1, num_pictures=1, num_pixels=20_000_000, decode_bytes=1)
    assert large > 10 * seconds(model, num_products=1, num_pictures=1)


def test_texts_are_estimated_by_the_frames_of_texts():
    model = CostModel()
    model.add([part_of(num_products=2), part_of(num_products=3)], decode_s=0.0, inference_s=1.0)
    assert seconds(model, num_products=10) == pytest.approx(2.0)


def test_long_texts_are_estimated_by_their_characters():
    model = CostModel()
    short = seconds(model, num_products=1)
    model.add([part_of(num_products=1, num_chars=200_000)], decode_s=0.0, inference_s=0.5)
    assert seconds(model, num_products=1, num_chars=400_000) == pytest.approx(1.0 + short)
    assert seconds(model, num_products=1) == short


def test_pictures_are_estimated_beside_the_texts():
    model = CostModel()
    model.add([part_of(num_products=1)], decode_s=0.0, inference_s=0.1)
    model.add([part_of(num_products=4, num_pictures=2)], decode_s=0.6, inference_s=1.0)
    assert seconds(model, num_products=4, num_pictures=2) == pytest.approx(1.6)
    assert seconds(model, num_products=1) == pytest.approx(0.1)


def test_large_pictures_are_estimated_by_the_pixels_that_were_decoded():
    model = CostModel()
    large = {"num_products": 1, "num_pictures": 1, "decode_bytes": 1}
    before = seconds(model, num_products=1, num_pictures=1)
    model.add([part_of(num_pixels=5_000_000, **large)], decode_s=0.5, inference_s=0.01)
    assert seconds(model, num_pixels=50_000_000, **large) == pytest.approx(5.0 + before)
    assert seconds(model, num_products=1, num_pictures=1) == before


def test_a_pause_of_the_machine_does_not_change_the_estimate():
    model = CostModel()
    for inference_s in (0.1,) * 5 + (2.6,) * 4:
        model.add([part_of(num_products=1)], 0.0, inference_s)
    assert seconds(model, num_products=1) == pytest.approx(0.1)


def test_the_newest_frames_count():
    model = CostModel()
    for inference_s in (0.1,) * 20 + (0.4,) * 9:
        model.add([part_of(num_products=1)], 0.0, inference_s)
    assert seconds(model, num_products=1) == pytest.approx(0.4)
