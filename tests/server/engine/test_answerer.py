"""Frames of parts, answered by the toy bundle: each product its own outcome, whatever is in the batch with it."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from google.rpc import code_pb2, status_pb2

from aisle_client.v1 import classifier_pb2 as pb
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from server.engine.answerer import Answerer, EngineFaultError, PartReply
from server.engine.decoder import Decoder
from server.engine.progress import Progress
from server.engine.request import PartRequest
from tests.server.support import named, png, violations


class PickyPredictor(Predictor):
    """A predictor that fails when a test says so.

    Attributes:
        fails: says of a batch whether it fails.
        batches: sizes of the batches.
        pictures: number of pictures of each run of the encoder.
    """

    def __init__(self, predictor: Predictor):
        super().__init__(predictor.bundle, predictor.engine)
        self.fails: Callable[[Sequence[Product]], bool] = lambda _: False
        self.batches: list[int] = []
        self.pictures: list[int] = []
        self.num_missing = 0

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        self.pictures.append(len(images))
        return super().encode_images(images)

    def predict_encoded(self, products: Sequence[Product], *options, **others) -> list[Prediction]:
        self.batches.append(len(products))
        if self.fails(products):
            raise ZeroDivisionError("secret of /usr/lib/secret.py")
        predictions = super().predict_encoded(products, *options, **others)
        return predictions[: len(predictions) - self.num_missing]


@pytest.fixture
def picky(predictor: Predictor) -> PickyPredictor:
    return PickyPredictor(predictor)


@pytest.fixture
def progress():
    progress = Progress.create()
    yield progress
    progress.close()


@pytest.fixture
def answerer(picky: PickyPredictor, progress: Progress) -> Answerer:
    return Answerer(picky, Decoder(picky.decode, 1), progress, max_text_chars=100, with_features=False)


def part(*products: pb.Product, may_be_large: bool = False, first_index: int = 0, **options):
    message = pb.ClassifyRequest(products=products, **{"top_k": 2, **options})
    return PartRequest(first_index, message, may_be_large, {})


def answers(reply: PartReply) -> list[pb.Classification]:
    assert not reply.is_failed
    return list(pb.ClassifyResponse.FromString(reply.content).classifications)


def outcomes(reply: PartReply) -> list[str | None]:
    return [answer.WhichOneof("outcome") for answer in answers(reply)]


def is_poison(products: Sequence[Product]) -> bool:
    return any("poison" in product.product_name for product in products)


def test_parts_with_other_options_in_the_batch_change_no_answer(answerer: Answerer, picky: PickyPredictor, jpeg: bytes):
    product = named("게이밍 laptop")
    parts = [
        part(product, top_k=1),
        part(product, named("shoe"), top_k=3, include_evidence=True, include_embedding=True),
        part(product, mask_parent="의류>상의"),
        part(product, mask_parent="의류", include_words=True),
        part(product, include_words=True),
        part(pb.Product(product_name="laptop", image=jpeg), include_evidence=True),
    ]
    together = answerer.answer(parts).parts
    assert picky.batches[0] == 7
    for one, among in zip(parts, together, strict=True):
        [alone] = answerer.answer([one]).parts
        for expected, found in zip(answers(alone), answers(among), strict=True):
            assert found.product_id == expected.product_id
            same, other = expected.prediction, found.prediction
            assert [c.category for c in other.categories] == [c.category for c in same.categories]
            assert other.categories[0].probability == pytest.approx(same.categories[0].probability, abs=1e-5)
            assert [h.head for h in other.heads] == [h.head for h in same.heads]
            assert np.allclose(other.embedding, same.embedding, atol=1e-5)
            assert (other.needs_review, len(other.words)) == (same.needs_review, len(same.words))
    predictions = [answers(reply)[0].prediction for reply in together]
    assert [len(prediction.categories) for prediction in predictions] == [1, 3, 1, 2, 2, 2]
    assert [len(prediction.words) for prediction in predictions] == [0, 0, 0, 2, 2, 0]
    assert [bool(prediction.heads) for prediction in predictions] == [False, True, False, False, False, True]
    assert [bool(prediction.embedding) for prediction in predictions] == [False, True, False, False, False, False]


def test_a_product_that_fails_is_an_internal_error_and_its_neighbours_are_answered(
    answerer: Answerer, picky: PickyPredictor, jpeg: bytes, caplog: pytest.LogCaptureFixture
):
    picky.fails = is_poison
    picture = pb.Product(product_name="shoe", image=jpeg)
    first, second = answerer.answer([part(named("shirt"), named("poison"), picture), part(named("bag"))]).parts
    assert outcomes(first) == ["prediction", "error", "prediction"]
    assert outcomes(second) == ["prediction"]
    error = answers(first)[1].error
    assert error.code == code_pb2.INTERNAL
    assert "see internal error" in error.message
    assert "secret" not in str(error)
    assert "secret of /usr/lib/secret.py" in caplog.text
    assert first.error_counts == {"INTERNAL": 1}


def test_products_that_fail_together_only_are_all_answered(answerer: Answerer, picky: PickyPredictor):
    picky.fails = lambda products: len(products) > 1
    [reply] = answerer.answer([part(named("a"), named("b"), named("c"))]).parts
    assert outcomes(reply) == ["prediction"] * 3
    assert picky.batches == [3, 1, 1, 1]


@pytest.mark.parametrize("num_products", [1, 3])
@pytest.mark.parametrize("kind", ["text", "picture"])
def test_an_engine_that_fails_with_good_products_too_is_at_fault(
    answerer: Answerer, picky: PickyPredictor, num_products: int, kind: str, jpeg: bytes
):
    picky.fails = lambda _: True
    product = pb.Product(product_name="shirt", image=jpeg if kind == "picture" else b"")
    with pytest.raises(EngineFaultError, match="it fails with a good product, too: ZeroDivisionError"):
        answerer.answer([part(*[product] * num_products)])


def test_an_engine_that_leaves_results_out_is_at_fault(answerer: Answerer, picky: PickyPredictor):
    picky.num_missing = 1
    with pytest.raises(EngineFaultError, match="was given 1 items and returned 0 results"):
        answerer.answer([part(named("a"), named("b"))])


def test_a_single_good_product_that_fails_is_run_once(answerer: Answerer, picky: PickyPredictor):
    picky.fails = is_poison
    [reply] = answerer.answer([part(named("poison"))]).parts
    assert outcomes(reply) == ["error"]
    assert picky.batches == [1, 1]  # and the good one that shows that the engine works


def test_bad_products_are_found_before_the_engine(answerer: Answerer, picky: PickyPredictor, bomb: bytes, jpeg: bytes):
    products = [
        pb.Product(),
        pb.Product(brand="x" * 101),
        pb.Product(image=b"no picture"),
        pb.Product(image=bomb),
        pb.Product(image=jpeg[: len(jpeg) // 2]),
        pb.Product(image_features=pb.ImageFeatures(values=[1.0])),
    ]
    [reply] = answerer.answer([part(*products, first_index=10)]).parts
    paths = [violations(answer.error) for answer in answers(reply)]
    assert paths == [
        ["products[10]"],
        ["products[11].brand"],
        ["products[12].image"],
        ["products[13].image"],
        ["products[14].image"],
        ["products[15].image_features"],
    ]
    assert (picky.batches, picky.pictures) == ([], [])
    assert reply.error_counts == {"INVALID_PRODUCT": 1, "INVALID_FIELD": 2, "INVALID_PICTURE": 3}


def test_an_unknown_mask_fails_its_own_part_alone(answerer: Answerer):
    wrong, good = answerer.answer([part(named("a"), mask_parent="no"), part(named("b"), mask_parent="의류")]).parts
    assert wrong.is_failed
    status = status_pb2.Status.FromString(wrong.content)
    assert (status.code, violations(status)) == (code_pb2.INVALID_ARGUMENT, ["mask_parent"])
    assert outcomes(good) == ["prediction"]


def test_large_pictures_are_announced_and_answered_when_they_may_be(
    answerer: Answerer, picky: PickyPredictor, jpeg: bytes
):
    large = pb.Product(product_name="shirt", image=png(2500, 2000))
    products = (named("a"), large, pb.Product(image=jpeg))
    announced, other = answerer.answer([part(*products), part(named("b"))]).parts
    assert announced.content == b""
    assert [(picture.index, picture.num_pixels) for picture in announced.large] == [(1, 5_000_000)]
    assert outcomes(other) == ["prediction"]
    assert (picky.batches, picky.pictures) == ([1], [])
    [answered] = answerer.answer([part(large, may_be_large=True)]).parts
    assert (answered.large, outcomes(answered)) == ([], ["prediction"])


def test_features_of_pictures_are_given_where_they_are_cached(picky: PickyPredictor, progress: Progress, jpeg: bytes):
    answerer = Answerer(picky, Decoder(picky.decode, 1), progress, max_text_chars=100, with_features=True)
    picture = pb.Product(image=jpeg)
    first, second = answerer.answer([part(named("a"), picture, pb.Product(image=b"no")), part(named("b"))]).parts
    pixels = picky.decode(Product("", image=jpeg))
    assert pixels is not None
    [expected] = picky.encode_images(pixels[None])
    assert list(first.features) == [1]
    np.testing.assert_allclose(np.frombuffer(first.features[1], np.float32), expected, atol=1e-5)
    assert second.features == {}


def test_answers_are_counted_by_category_of_the_first_level(answerer: Answerer, picky: PickyPredictor):
    products = [named("데님 청바지"), named("LG gram 노트북"), named("반팔 티셔츠"), pb.Product()]
    [reply] = answerer.answer([part(*products)]).parts
    levels = picky.bundle.taxonomy.levels[0]
    best = [answer.prediction.categories[0].category.split(">")[0] for answer in answers(reply)[:3]]
    assert {levels[number]: count for number, count in reply.category_counts.items()} == {
        category: best.count(category) for category in set(best)
    }
    needs_review = [answer.prediction.needs_review for answer in answers(reply)[:3]]
    assert (reply.num_needs_review, reply.num_accepted) == (needs_review.count(True), needs_review.count(False))


def test_work_is_seen_to_advance_with_each_picture_run_and_part(answerer: Answerer, progress: Progress, jpeg: bytes):
    """What is not seen for long is taken for a hang."""
    answerer.answer([part(*[pb.Product(image=jpeg)] * 5), part(named("a"))])
    num_steps, _ = progress.read()
    assert num_steps >= 5 + 2 + 2


def test_times_are_those_of_the_frame(answerer: Answerer, jpeg: bytes):
    texts = answerer.answer([part(named("a"))])
    assert texts.decode_s == 0
    assert texts.inference_s > 0
    pictures = answerer.answer([part(pb.Product(image=jpeg))])
    assert pictures.decode_s > 0
    assert pictures.inference_s > 0


def test_every_size_of_a_batch_is_run_before_the_first_caller(answerer: Answerer, picky: PickyPredictor):
    answerer.warm_up(max_items=5, max_images=3)
    assert sorted(picky.batches) == sorted([*[1, 2, 3, 4, 6] * 2, 1, 2, 3])
    assert picky.pictures == [1, 2, 3]


def test_a_failing_batch_is_told_in_the_log(
    answerer: Answerer, picky: PickyPredictor, caplog: pytest.LogCaptureFixture
):
    picky.fails = is_poison
    with caplog.at_level(logging.WARNING):
        answerer.answer([part(named("poison"), named("b"))])
    assert "a batch of 2 failed" in caplog.text
