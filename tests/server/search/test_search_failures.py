"""What becomes of calls while the server stops, the index fails, or the caller goes."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc, search_pb2
from server.app import AisleServer
from server.search import SEARCH_SERVICE, service
from tests.server.search.support import (
    SearchStub,
    by_id,
    by_product,
    delete,
    get_index,
    hits_of,
    offer,
    rejected,
    similar,
    upsert,
)
from tests.server.support import HeldEngine, engine_processes, scrape, values, wait_for


class HeldSearches:
    """Searches that wait until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._begun, self._released = threading.Semaphore(0), threading.Event()
        found = service.similar

        def wait(*arguments):
            self._begun.release()
            assert self._released.wait(30)
            return found(*arguments)

        monkeypatch.setattr(service, "similar", wait)

    def wait_until_busy(self) -> None:
        assert self._begun.acquire(timeout=30)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def held_searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldSearches]:
    held = HeldSearches(monkeypatch)
    yield held
    held.release()


def later(stub: SearchStub, query: search_pb2.SimilarQuery, timeout_s: float = 30):
    return stub.Similar.future(search_pb2.SimilarRequest(queries=[query]), timeout=timeout_s)


def stopping(server: AisleServer, grace_s: float) -> threading.Thread:
    thread = threading.Thread(target=server.stop, args=(grace_s,))
    thread.start()
    return thread


def first_refusal(stub: SearchStub) -> status_pb2.Status:
    """Ask for what needs no search until that is refused."""
    while True:
        try:
            get_index(stub)
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            assert status is not None
            return status


def test_a_search_that_runs_ends_before_the_server_stops(
    fresh_server: AisleServer, fresh_search: SearchStub, held_searches: HeldSearches
):
    running = later(fresh_search, by_id("p1"))
    held_searches.wait_until_busy()
    thread = stopping(fresh_server, grace_s=20)
    status = first_refusal(fresh_search)
    assert (status.code, status.message) == (
        code_pb2.UNAVAILABLE,
        "the server is stopping; send the request to another one",
    )
    assert thread.is_alive()
    held_searches.release()
    assert len(running.result(30).results[0].hits.hits) == 10
    thread.join(20)
    assert not thread.is_alive()


def test_a_search_longer_than_the_grace_period_is_unavailable(
    fresh_server: AisleServer, fresh_search: SearchStub, held_searches: HeldSearches
):
    running = later(fresh_search, by_id("p1"))
    held_searches.wait_until_busy()
    thread = stopping(fresh_server, grace_s=0)
    assert running.code() == grpc.StatusCode.UNAVAILABLE
    assert "had to stop before the answer was ready; send the request to another one" in running.details()
    held_searches.release()
    thread.join(20)
    assert not thread.is_alive()


def test_a_deadline_that_passes_ends_the_call_and_leaves_nothing_behind(
    fresh_server: AisleServer, fresh_search: SearchStub, fresh_channel: grpc.Channel, held: HeldEngine
):
    classify = classifier_pb2_grpc.ProductClassifierStub(fresh_channel).Classify
    busy = classify.future(pb.ClassifyRequest(products=[{"product_name": "red shirt"}]), timeout=30)
    held.wait_until_busy()
    waiting = by_product(product_name="새 상품")
    too_late, too_long = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED
    assert later(fresh_search, waiting, timeout_s=0).code() in (too_late, too_long)  # whoever is quicker says so
    assert later(fresh_search, waiting, timeout_s=0.2).code() == too_late
    held.release()
    assert busy.result(30)
    wait_for(lambda: values(scrape(fresh_server))["aisle_calls_in_flight",] == 0)
    assert len(hits_of(fresh_search, waiting)) == 10


def test_a_caller_that_leaves_during_a_search_disturbs_nobody(
    fresh_server: AisleServer, fresh_search: SearchStub, held_searches: HeldSearches
):
    left = later(fresh_search, by_id("p1"))
    held_searches.wait_until_busy()
    left.cancel()
    wait_for(lambda: values(scrape(fresh_server))["aisle_calls_in_flight",] == 0)
    index = fresh_server._index_host.current
    assert index.num_users == 1  # the search goes on, so that the index has to stay open
    held_searches.release()
    wait_for(lambda: index.num_users == 0)
    assert len(hits_of(fresh_search, by_id("p1"))) == 10


def test_an_index_that_fails_is_unavailable_and_the_classifier_answers_on(
    fresh_server: AisleServer,
    fresh_search: SearchStub,
    fresh_channel: grpc.Channel,
    index: Path,
    caplog: pytest.LogCaptureFixture,
):
    records = index / "products.sqlite"
    with records.open("r+b") as file:
        file.write(b"\xff" * records.stat().st_size)
    sentence = "the index's disk or database refused, and nothing has changed; send the request again later"
    for query in (by_id("p1"), by_product(product_name="새 상품")):
        status = rejected(lambda query=query: similar(fresh_search, query))
        assert (status.code, status.message) == (code_pb2.UNAVAILABLE, sentence)
    assert f"the index failed: {records} could not be read: " in caplog.text
    fresh_server._index_host.current.engine.close()
    for change in (lambda: upsert(fresh_search, offer("new", "이름")), lambda: delete(fresh_search, "p1")):
        status = rejected(change)
        assert (status.code, status.message) == (code_pb2.UNAVAILABLE, sentence)
    assert f"{records} could not be written" in caplog.text
    classify = classifier_pb2_grpc.ProductClassifierStub(fresh_channel).Classify
    request = pb.ClassifyRequest(products=[{"product_name": "red shirt"}])
    assert len(classify(request, timeout=30).classifications) == 1
    assert values(scrape(fresh_server))["aisle_calls_in_flight",] == 0


def test_health_follows_the_engine_that_embeds(fresh_server: AisleServer, fresh_channel: grpc.Channel):
    request = health_pb2.HealthCheckRequest(service=SEARCH_SERVICE)
    watch = health_pb2_grpc.HealthStub(fresh_channel).Watch(request, timeout=60)
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert next(watch).status == serving
    [engine] = engine_processes(fresh_server)
    os.kill(engine, signal.SIGKILL)
    assert [next(watch).status, next(watch).status] == [not_serving, serving]
    watch.cancel()
