"""What shares a batch and what does not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model.predictor import Predictor
from model.product import Product
from server.lanes import Item, Lanes
from server.settings import ServerSettings


@pytest.fixture
def lanes(toy_bundle: Path) -> Iterator[Lanes]:
    predictor = Predictor.open(toy_bundle, "openvino", threads=2, many_callers=True)
    lanes = Lanes(predictor, ServerSettings(bundle=toy_bundle))
    yield lanes
    lanes.close()


def item(name: str, top_k: int, all_heads: bool = False) -> Item:
    return Item(Product("", product_name=name), top_k, all_heads)


def test_a_demanding_neighbour_changes_no_answer(lanes: Lanes) -> None:
    demanding = [item("red shirt", 1), item("blue shoe", 3, all_heads=True)]
    together = lanes.text.submit(demanding, 10).result(30).results
    alone = [lanes.text.submit([one], 10).result(30).results[0] for one in demanding]
    for one, among in zip(alone, together, strict=True):
        assert not isinstance(one, Exception)
        assert not isinstance(among, Exception)
        count = len(one.categories)
        assert [c.category for c in among.categories[:count]] == [c.category for c in one.categories]
        np.testing.assert_allclose(
            [c.probability for c in among.categories[:count]], [c.probability for c in one.categories], atol=1e-6
        )
    assert [len(one.categories) for one in alone if not isinstance(one, Exception)] == [1, 3]


def test_every_size_is_run_on_every_stream_before_the_first_caller(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    engine = lanes.predictor.engine
    encode_images = engine.encode_images

    def counted(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return encode_images(images)

    monkeypatch.setattr(engine, "encode_images", counted)
    lanes.warm_up()
    assert sorted(sizes) == sorted([*range(1, engine.max_images + 1)] * 2)
