"""Clients whose servers restart, are overloaded or reject requests."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from aisle_client.async_client import AsyncAisleClient
from aisle_client.client import AisleClient
from aisle_client.errors import CallError, InputError
from aisle_client.prediction import Prediction
from aisle_client.retry import RetryPolicy
from model.product import Product
from server.app import AisleServer
from server.models.registry import ModelRegistry
from tests.server.support import toy_settings

RETRY = RetryPolicy(max_retries=100, first_delay_s=0.05, max_delay_s=0.2)
SHIRTS = [Product(str(i), "red shirt") for i in range(700)]
IDS = [product.product_id for product in SHIRTS]


def start(bundle: Path, port: int = 0, **settings: Any) -> AisleServer:
    server = AisleServer(toy_settings(bundle, port=port, **settings))
    server.start()
    return server


@pytest.fixture
def small_server(toy_bundle: Path) -> Iterator[AisleServer]:
    """A server with limits of ten products and 4,000 bytes per request."""
    server = start(toy_bundle, max_products_per_request=10, max_message_bytes=4000)
    yield server
    server.stop(grace_s=5)


def sync_stream(target: str, products: Iterable[Product], at_result: Callable[[int], None], **options: Any) -> list:
    results = []
    with AisleClient(target, retry=RETRY) as client:
        for result in client.classify_stream(products, **options):
            results.append(result)
            at_result(len(results))
    return results


def async_stream(target: str, products: Iterable[Product], at_result: Callable[[int], None], **options: Any) -> list:
    async def ask() -> list:
        results = []
        async with AsyncAisleClient(target, retry=RETRY) as client:
            async for result in client.classify_stream(products, **options):
                results.append(result)
                await asyncio.to_thread(at_result, len(results))
        return results

    return asyncio.run(ask())


@pytest.fixture(params=[sync_stream, async_stream])
def stream(request: pytest.FixtureRequest) -> Callable[..., list]:
    """Both clients, which must behave the same."""
    return request.param


def nothing(count: int) -> None:
    pass


def answered_ids(results: list) -> list[str]:
    assert all(isinstance(result, Prediction) for result in results)
    return [result.product_id for result in results]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_request_waits_for_a_server_that_restarts(toy_bundle: Path, is_async: bool):
    first = start(toy_bundle)
    target = f"127.0.0.1:{first.port}"
    again: list[AisleServer] = []

    def restart() -> None:
        again.append(start(toy_bundle, first.port))

    async def ask_async() -> list:
        async with AsyncAisleClient(target, retry=RETRY) as client:
            await client.classify(SHIRTS[:1])
            first.stop(grace_s=5)
            thread.start()
            return await client.classify(SHIRTS[:3])

    def ask() -> list:
        with AisleClient(target, retry=RETRY) as client:
            client.classify(SHIRTS[:1])
            first.stop(grace_s=5)
            thread.start()
            return client.classify(SHIRTS[:3])

    thread = threading.Thread(target=restart)
    try:
        assert answered_ids(asyncio.run(ask_async()) if is_async else ask()) == IDS[:3]
    finally:
        thread.join()
        again[0].stop(grace_s=5)


def test_a_stream_continues_after_the_last_answer_when_a_server_restarts(toy_bundle: Path, stream: Callable[..., list]):
    servers = [start(toy_bundle)]

    def restart(count: int) -> None:
        if count == 100:
            servers[0].stop(grace_s=0)
            servers.append(start(toy_bundle, servers[0].port))

    try:
        results = stream(f"127.0.0.1:{servers[0].port}", iter(SHIRTS), restart)
    finally:
        servers[-1].stop(grace_s=5)
    assert len(servers) == 2
    assert answered_ids(results) == IDS


def test_a_stream_is_ordered_and_products_fail_alone(target: str, stream: Callable[..., list]):
    products = [*SHIRTS[:150], Product("empty"), *SHIRTS[150:300]]
    results = stream(target, products, nothing, top_k=1)
    assert [result.product_id for result in results] == [product.product_id for product in products]
    assert [result for result in results if not isinstance(result, Prediction)] == [results[150]]


def test_a_stream_resumes_after_a_product(target: str, stream: Callable[..., list]):
    assert answered_ids(stream(target, SHIRTS, nothing, resume_after="649")) == IDS[650:]
    assert stream(target, SHIRTS, nothing, resume_after="699") == []
    with pytest.raises(InputError, match="cannot resume: expected a product with the id 'x', found none"):
        stream(target, SHIRTS, nothing, resume_after="x")


def test_without_products_no_stream_is_opened(target: str, stream: Callable[..., list]):
    assert stream(target, [], nothing) == []


def test_a_rejected_message_ends_the_stream(target: str, stream: Callable[..., list]):
    with pytest.raises(CallError, match="top_k: expected 1 to 100") as caught:
        stream(target, SHIRTS[:2], nothing, top_k=101)
    assert set(caught.value.violations) == {"top_k"}


def test_an_error_of_the_list_is_raised_to_the_caller(target: str, stream: Callable[..., list]):
    def broken() -> Iterator[Product]:
        yield SHIRTS[0]
        raise InputError("row 2 is malformed")

    with pytest.raises(InputError, match="row 2 is malformed"):
        stream(target, broken(), nothing)


def test_products_are_read_only_as_fast_as_answers_are_consumed(target: str):
    num_read = 0

    def counted() -> Iterator[Product]:
        nonlocal num_read
        for product in SHIRTS * 10:
            num_read += 1
            yield product

    with AisleClient(target) as client:
        results = client.classify_stream(counted())
        next(results)
        assert num_read < 1000
        results.close()


def test_a_stream_that_outlives_its_deadline_is_renewed(target: str):
    results = []
    with AisleClient(target, timeout_s=1.5) as client:
        for result in client.classify_stream(SHIRTS):
            results.append(result)
            if len(results) == 64:  # the caller is busy for longer than the deadline of a stream
                threading.Event().wait(3.1)
    assert answered_ids(results) == IDS


def test_lists_are_split_by_the_servers_limits(small_server: AisleServer, stream: Callable[..., list]):
    target = f"127.0.0.1:{small_server.port}"
    long = [Product("long", "shirt " * 300), *SHIRTS[:25], Product("longer", "shirt " * 400)]
    ids = [product.product_id for product in long]
    with AisleClient(target) as client:
        assert answered_ids(client.classify(long)) == ids

    async def ask() -> list:
        async with AsyncAisleClient(target) as client:
            return await client.classify(long)

    assert answered_ids(asyncio.run(ask())) == ids
    assert answered_ids(stream(target, long, nothing)) == ids


def test_a_call_to_an_overloaded_server_is_retried(toy_bundle: Path):
    server = start(toy_bundle, max_concurrent_rpcs=1)
    try:
        with AisleClient(f"127.0.0.1:{server.port}") as busy, AisleClient(f"127.0.0.1:{server.port}") as client:
            held = busy.classify_stream(SHIRTS)
            next(held)  # the stream is the only call allowed
            threading.Timer(0.3, held.close).start()
            assert answered_ids(client.classify(SHIRTS[:1])) == IDS[:1]
    finally:
        server.stop(grace_s=5)


def test_calls_are_balanced_over_the_addresses(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    servers = [start(toy_bundle), start(toy_bundle)]
    asked: set[int] = set()
    lease = ModelRegistry.lease

    def noted(registry: ModelRegistry, *arguments: Any) -> Any:
        asked.update(i for i, server in enumerate(servers) if server.models is registry)
        return lease(registry, *arguments)

    monkeypatch.setattr(ModelRegistry, "lease", noted)
    try:
        with AisleClient(",".join(f"127.0.0.1:{server.port}" for server in servers), retry=RETRY) as client:
            for _ in range(1000):
                client.get_model()
                if asked == {0, 1}:
                    break
            assert asked == {0, 1}
            servers[0].stop(grace_s=5)
            for _ in range(6):
                assert answered_ids(client.classify(SHIRTS[:1])) == IDS[:1]
    finally:
        for server in servers:
            server.stop(grace_s=5)


@pytest.mark.parametrize("target", ["localhost:1,127.0.0.1:2", "127.0.0.1:1,[::1]:2", "127.0.0.1:1,"])
def test_invalid_lists_of_addresses_are_named(target: str):
    with pytest.raises(InputError, match="expected several addresses as IP:PORT, all IPv4 or all IPv6"):
        AisleClient(target)


def test_an_unavailable_server_is_reported_after_the_last_retry():
    with (
        AisleClient("127.0.0.1:1", retry=RetryPolicy(2, first_delay_s=0.01)) as client,
        pytest.raises(CallError, match=r"no answer from 127\.0\.0\.1:1") as caught,
    ):
        client.get_model()
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE
