"""Frames of parts that ask for vectors, answered by the toy bundle: each product its own outcome."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from google.rpc import code_pb2

from aisle_client.v1 import classifier_pb2 as pb
from model.predictor import Predictor
from model.product import Product
from retrieval.embedding.embedder import Embedder, Vectors
from retrieval.index.record import Space
from server.engine.answerer import PartReply
from server.engine.progress import Progress
from server.engine.request import PartRequest
from server.engine.vector_answerer import VectorAnswerer
from tests.server.support import named, png, violations

SPACES: tuple[Space, ...] = ("image", "text", "joint")


class PickyEmbedder(Embedder):
    """An embedder that fails with a product of a certain name, and remembers its batches."""

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        self.batches: list[int] = []

    def embed_decoded(self, products: Sequence[Product], *arguments) -> list[Vectors]:
        self.batches.append(len(products))
        if any(product.product_name == "poison" for product in products):
            raise ZeroDivisionError("secret of /usr/lib/secret.py")
        return super().embed_decoded(products, *arguments)


@pytest.fixture
def picky(predictor: Predictor) -> PickyEmbedder:
    return PickyEmbedder(predictor)


@pytest.fixture
def progress() -> Iterator[Progress]:
    progress = Progress.create()
    yield progress
    progress.close()


@pytest.fixture
def answerer(picky: PickyEmbedder, progress: Progress) -> VectorAnswerer:
    return VectorAnswerer(picky, progress, max_text_chars=100)


def part(*products: pb.Product, spaces: tuple[Space, ...] = SPACES, **options) -> PartRequest:
    values = {"first_index": 0, "may_be_large": False, "not_utf8": {}, **options}
    return PartRequest(message=pb.ClassifyRequest(products=products), spaces=spaces, **values)


def errors(reply: PartReply) -> list[tuple[int, list[str]] | None]:
    """Code and fields of the errors of a reply, by product."""
    answers = pb.ClassifyResponse.FromString(reply.content).classifications
    return [(a.error.code, violations(a.error)) if a.HasField("error") else None for a in answers]


def spaces_of(reply: PartReply, index: int) -> set[str]:
    return {space for position, space in reply.vectors if position == index}


def test_vectors_are_those_of_the_embedder_in_the_spaces_that_are_asked_for(
    answerer: VectorAnswerer, embedder: Embedder, jpeg: bytes
):
    messages = [named("반팔 티셔츠"), pb.Product(image=jpeg), pb.Product(product_name="shoe", image=jpeg)]
    products = [Product("", product_name=m.product_name, image=m.image or None) for m in messages]
    parts = [part(*messages), part(messages[2], spaces=("text",)), part(messages[2], spaces=("joint", "image"))]
    whole, text, picture = answerer.answer(parts).parts
    for i, expected in enumerate(embedder.embed(products)):
        assert isinstance(expected, dict)
        assert spaces_of(whole, i) == set(expected)
        for space, vector in expected.items():
            assert np.allclose(np.frombuffer(whole.vectors[i, space], np.float32), vector, atol=1e-5)
    assert [spaces_of(whole, i) for i in range(3)] == [{"text", "joint"}, {"image", "joint"}, set(SPACES)]
    assert [set(text.vectors), set(picture.vectors)] == [{(0, "text")}, {(0, "joint"), (0, "image")}]
    assert errors(whole) == [None] * 3
    answers = pb.ClassifyResponse.FromString(whole.content).classifications
    assert [answer.product_id for answer in answers] == [message.product_id for message in messages]


def test_what_is_wrong_with_a_product_costs_no_other(answerer: VectorAnswerer, jpeg: bytes, bomb: bytes):
    products = [
        named("good"),
        pb.Product(image=b"no picture"),
        pb.Product(product_id="empty"),
        pb.Product(maker="x" * 101),
        named("not UTF-8"),
        pb.Product(image=bomb, product_name="bomb"),
        pb.Product(image=jpeg),
    ]
    reply, other = answerer.answer([part(*products, first_index=7, not_utf8={4: "brand"}), part(named("bag"))]).parts
    wrong = code_pb2.INVALID_ARGUMENT
    assert errors(reply) == [
        None,
        (wrong, ["products[8].image"]),
        (wrong, ["products[9]"]),
        (wrong, ["products[10].maker"]),
        (wrong, ["products[11].brand"]),
        (wrong, ["products[12].image"]),
        None,
    ]
    assert {index for index, _ in reply.vectors} == {0, 6}
    assert reply.error_counts == {"INVALID_PICTURE": 2, "INVALID_PRODUCT": 1, "INVALID_FIELD": 2}
    assert (errors(other), spaces_of(other, 0)) == ([None], {"text", "joint"})


def test_a_product_without_a_vector_in_the_space_is_told_what_is_missing(answerer: VectorAnswerer, jpeg: bytes):
    pictures, texts = answerer.answer(
        [part(named("shirt"), spaces=("image",)), part(pb.Product(image=jpeg), spaces=("text",))]
    ).parts
    for reply, space in ((pictures, "image"), (texts, "text")):
        assert errors(reply) == [(code_pb2.INVALID_ARGUMENT, ["products[0]"])]
        assert f"expected something for a vector of {space}, found none of it" in reply.content.decode(errors="ignore")


def test_pictures_are_not_read_where_only_texts_count(answerer: VectorAnswerer):
    products = [
        pb.Product(product_name="shirt", image=b"no picture"),
        pb.Product(product_name="a", image=png(2500, 2000)),
    ]
    [reply] = answerer.answer([part(*products, spaces=("text",))]).parts
    assert (errors(reply), reply.large) == ([None, None], [])


def test_large_pictures_are_announced_before_they_are_decoded(answerer: VectorAnswerer, picky: PickyEmbedder):
    large = pb.Product(image=png(2500, 2000))
    announced, other = answerer.answer([part(named("shirt"), large), part(named("bag"))]).parts
    assert [(picture.index, picture.num_pixels) for picture in announced.large] == [(1, 5_000_000)]
    assert (announced.content, announced.vectors) == (b"", {})
    assert errors(other) == [None]
    [admitted] = answerer.answer([part(large, may_be_large=True)]).parts
    assert (admitted.large, spaces_of(admitted, 0)) == ([], {"image", "joint"})


def test_a_batch_that_fails_is_tried_again_product_by_product(
    answerer: VectorAnswerer, picky: PickyEmbedder, caplog: pytest.LogCaptureFixture
):
    [reply] = answerer.answer([part(named("shirt"), named("poison"), named("bag"))]).parts
    assert picky.batches == [3, 1, 1, 1]
    assert [spaces_of(reply, i) for i in range(3)] == [{"text", "joint"}, set(), {"text", "joint"}]
    [_, failed, _] = pb.ClassifyResponse.FromString(reply.content).classifications
    assert failed.error.code == code_pb2.INTERNAL
    assert "secret" not in str(failed.error)
    assert "ZeroDivisionError" in caplog.text
    assert caplog.record_tuples[0][:2] == ("aisle.engine", logging.WARNING)


def test_the_server_s_limit_of_pixels_counts(predictor: Predictor, progress: Progress, monkeypatch: pytest.MonkeyPatch):
    limited = dataclasses.replace(predictor.preprocessor.image, max_image_pixels=1000)
    monkeypatch.setattr(predictor.preprocessor, "image", limited)
    answerer = VectorAnswerer(Embedder(predictor), progress, max_text_chars=100)
    [reply] = answerer.answer([part(pb.Product(image=png(40, 25)), pb.Product(image=png(40, 26)))]).parts
    assert errors(reply) == [None, (code_pb2.INVALID_ARGUMENT, ["products[1].image"])]
