"""Batches of the text and picture lanes: mixed options, broken pictures and warm-up."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model.errors import PictureError
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree, find_sub_tree
from server.inference.lanes import Item, Lanes
from server.settings import ServerSettings


@pytest.fixture
def lanes(toy_bundle: Path) -> Iterator[Lanes]:
    predictor = Predictor.open(toy_bundle, "openvino", threads=2, many_callers=True)
    lanes = Lanes(predictor, ServerSettings(bundle=toy_bundle))
    yield lanes
    lanes.close()


def item(name: str, top_k: int, all_heads: bool = False) -> Item:
    return Item(Product("", product_name=name), top_k, all_heads)


def test_other_options_in_the_batch_change_no_answer(lanes: Lanes) -> None:
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


def test_a_mask_or_words_in_the_batch_change_no_other_answer(lanes: Lanes) -> None:
    shirts = find_sub_tree(lanes.predictor.bundle.taxonomy, "의류>상의")
    clothes = find_sub_tree(lanes.predictor.bundle.taxonomy, "의류")
    product = Product("", product_name="게이밍 laptop")
    items = [
        Item(product, 3, False),
        Item(product, 3, False, sub_tree=shirts),
        Item(product, 3, False, sub_tree=clothes, with_words=True),
        Item(product, 3, False, with_words=True),
    ]
    plain, one_leaf, masked, weighed = lanes.text.submit(items, 10).result(30).results
    alone = [lanes.text.submit([one], 10).result(30).results[0] for one in items]
    for one, among in zip(alone, (plain, one_leaf, masked, weighed), strict=True):
        assert isinstance(one, Prediction)
        assert isinstance(among, Prediction)
        assert [scored.category for scored in among.categories] == [scored.category for scored in one.categories]
        assert among.categories[0].probability == pytest.approx(one.categories[0].probability, abs=1e-5)
        assert (among.needs_review, len(among.words)) == (one.needs_review, len(one.words))
    assert isinstance(one_leaf, Prediction)
    assert [scored.category for scored in one_leaf.categories] == list(clothes_of(lanes, shirts))
    assert [len(one.words) for one in alone if isinstance(one, Prediction)] == [0, 0, 2, 2]


def clothes_of(lanes: Lanes, sub_tree: SubTree) -> tuple[str, ...]:
    return tuple(lanes.predictor.bundle.taxonomy.leaves[leaf] for leaf in sub_tree.leaves)


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


def test_a_broken_picture_affects_no_other_item_and_all_report_the_decoding_time(lanes: Lanes, jpeg: bytes) -> None:
    products = [Product(str(i), product_name="red shirt", image=jpeg) for i in range(3)]
    products[1] = Product("1", product_name="red shirt", image=jpeg[: len(jpeg) // 2])
    items = [Item(product, 1, False) for product in products]
    first, broken, last = lanes.picture.submit(items, 10).result(30).results
    assert isinstance(first, Prediction)
    assert isinstance(last, Prediction)
    assert (first.product_id, last.product_id) == ("0", "2")
    np.testing.assert_array_equal(first.embedding, last.embedding)
    assert isinstance(broken, PictureError)
    assert min(one.decode_s for one in items) > 0


def test_a_batch_of_broken_pictures_runs_no_program(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes.predictor.engine, "classify", None)
    items = [Item(Product("", image=b"no picture"), 1, False)] * 2
    results = lanes.picture.submit(items, 10).result(30).results
    assert [type(result) for result in results] == [PictureError, PictureError]


@pytest.mark.parametrize(("device", "expected"), [("CPU", 1), ("GPU (jax)", 16)])
def test_a_gpu_gets_pictures_decoded_by_all_cores(
    toy_bundle: Path, monkeypatch: pytest.MonkeyPatch, device: str, expected: int
) -> None:
    monkeypatch.setattr("server.inference.lanes.usable_cores", lambda: 16)
    predictor = Predictor.open(toy_bundle, "openvino")
    monkeypatch.setattr(predictor.engine, "device", device)
    asked: list[int] = []
    monkeypatch.setattr("server.inference.lanes.Decoder", lambda _, num_threads: asked.append(num_threads))
    for decode_threads in (0, 3):
        Lanes(predictor, ServerSettings(bundle=toy_bundle, decode_threads=decode_threads))
    assert asked == [expected, 3]


def test_slow_decoding_does_not_count_as_a_hang(toy_bundle: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.open(toy_bundle, "openvino")
    decode, entered, released = predictor.decode, threading.Event(), threading.Event()

    def slow(product: Product) -> np.ndarray | None:
        entered.set()
        assert released.wait(60)
        return decode(product)

    monkeypatch.setattr(predictor, "decode", slow)
    lanes = Lanes(predictor, ServerSettings(bundle=toy_bundle, engine_timeout_s=1.0))
    future = lanes.picture.submit([Item(Product("", image=jpeg), 1, False)], 10)
    assert entered.wait(10)
    assert [lanes.watch(10.0) for _ in range(3)] == [None, None, None]
    released.set()
    assert isinstance(future.result(30).results[0], Prediction)
    lanes.close()
