import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from aisle_client.async_client import AsyncAisleClient
from aisle_client.client import AisleClient
from aisle_client.errors import CallError
from aisle_client.offer import Offer
from aisle_client.prediction import Failure
from aisle_client.retry import NO_RETRY
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product

Call = Callable[..., Any]


def call_sync(target: str, method: str, *arguments: Any, **options: Any) -> Any:
    with AisleClient(target, retry=NO_RETRY) as client:
        return getattr(client, method)(*arguments, **options)


def call_async(target: str, method: str, *arguments: Any, **options: Any) -> Any:
    async def call() -> Any:
        async with AsyncAisleClient(target, retry=NO_RETRY) as client:
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(call())


@pytest.fixture(params=[call_sync, call_async])
def call(request: pytest.FixtureRequest) -> Call:
    """Both clients, which must behave the same."""
    return request.param


def test_products_are_answered_in_order_over_several_requests(call: Call, target: str, toy_bundle: Path):
    products = [Product(str(i), "red shirt" if i != 600 else "") for i in range(700)]
    results = call(target, "classify", products, top_k=1)
    assert [result.product_id for result in results] == [str(i) for i in range(700)]
    assert isinstance(results[600], Failure)
    assert results[600].code == "INVALID_ARGUMENT"
    [expected] = Predictor.open(toy_bundle, "openvino").predict([products[0]], top_k=1)
    assert isinstance(expected, Prediction)
    for result in (results[0], results[699]):
        assert result.categories[0].category == expected.categories[0].category
        assert result.categories[0].probability == pytest.approx(expected.categories[0].probability, abs=1e-5)


def test_evidence_and_embedding_are_passed_on(call: Call, target: str):
    [result] = call(target, "classify", [Product("1", "red shirt")], include_evidence=True, include_embedding=True)
    assert set(result.heads) == {"name", "linear", "neighbors"}
    assert np.linalg.norm(result.embedding) == pytest.approx(1, abs=1e-4)


def test_a_mask_and_words_are_passed_on(call: Call, target: str):
    products = [Product("1", "게이밍 laptop")]
    [result] = call(target, "classify", products, mask_parent="의류", include_words=True)
    assert {scored.category.partition(">")[0] for scored in result.categories} == {"의류"}
    assert {word.word for word in result.words} == {"게이밍", "laptop"}
    with pytest.raises(CallError, match="mask_parent: expected a category of this model, found '신발'") as caught:
        call(target, "classify", products, mask_parent="신발")
    assert set(caught.value.violations) == {"mask_parent"}


def test_a_stream_has_a_mask_too(target: str):
    products = [Product(str(i), "게이밍 laptop") for i in range(70)]

    async def found() -> list[Any]:
        async with AsyncAisleClient(target, retry=NO_RETRY) as client:
            return [result async for result in client.classify_stream(products, mask_parent="의류")]

    with AisleClient(target, retry=NO_RETRY) as client:
        results = list(client.classify_stream(products, mask_parent="의류"))
    for result in (*results, *asyncio.run(found())):
        assert {scored.category.partition(">")[0] for scored in result.categories} == {"의류"}
    assert [result.product_id for result in results] == [str(i) for i in range(70)]


def test_without_products_no_request_is_sent(call: Call):
    for method in ("classify", "similar", "upsert"):
        assert call("127.0.0.1:1", method, []) == []
    assert call("127.0.0.1:1", "delete", []) == 0


def test_the_model_is_described(call: Call, target: str):
    assert call(target, "get_model").limits.max_products == 512


def test_a_rejected_request_names_the_field(call: Call, target: str):
    with pytest.raises(CallError, match=f"{target} answered INVALID_ARGUMENT: top_k: expected 1 to 100") as caught:
        call(target, "classify", [Product("1", "a")], top_k=101)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert set(caught.value.violations) == {"top_k"}


@pytest.mark.parametrize(
    ("method", "items"),
    [("similar", ["1"]), ("similar", ["1", "2"]), ("upsert", [Offer(Product("1", "a"))]), ("delete", ["1"])],
)
def test_a_server_without_an_index_says_how_to_get_one(call: Call, target: str, method: str, items: list):
    with pytest.raises(CallError, match=r"answered UNIMPLEMENTED: .* has to be started with --index") as caught:
        call(target, method, items)
    assert caught.value.code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", ["classify", "get_model", "similar", "get_index"])
def test_an_unreachable_server_is_one_sentence(call: Call, method: str):
    with socket.socket() as taken:  # bound but not listening, so that no other process answers
        taken.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = [] if method.startswith("get_") else [[Product("1", "a")]]
        with pytest.raises(CallError, match=f"no answer from {target} .*; check --target and that the server runs"):
            call(target, method, *arguments)


def test_a_server_that_never_answers_times_out():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            AisleClient(target, timeout_s=0.2) as client,
            pytest.raises(CallError, match=f"{target} did not answer in time; give a longer timeout"),
        ):
            client.get_model()
