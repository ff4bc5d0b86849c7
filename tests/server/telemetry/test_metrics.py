"""The metrics of a real server, compared with the requests it was sent."""

import dataclasses
import http.client
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from benchmarks.resilience.faulty_engine import engine_command
from server.app import AisleServer, ListenError
from server.inference.request_run import RequestResult
from server.settings import ServerSettings
from server.telemetry.metrics import MAX_CATEGORIES, OTHER, Metrics
from tests.server.support import (
    HeldEngine,
    Stub,
    add_version,
    ask,
    damage,
    named,
    open_channel,
    scrape,
    toy_settings,
    values,
    wait_for,
)

TOKEN = "a-token-0123456789"
TOY = ("toy", "1")


class Growth:
    """The samples of a server that have changed since this was made."""

    def __init__(self, server: AisleServer):
        self._server = server
        self._before = values(scrape(server))

    def found(self, *names: str) -> dict[tuple[str, ...], float]:
        after = values(scrape(self._server))
        growth = {key: value - self._before.get(key, 0.0) for key, value in after.items() if key[0] in names}
        return {key: value for key, value in growth.items() if value}


@pytest.fixture(scope="module")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def server(toy_bundle: Path, engine_folder: Path) -> Iterator[AisleServer]:
    """Knows its model as `toy` 1, for a folder of models gives the names."""
    server = AisleServer(settings_of(toy_bundle), engine_command(engine_folder))
    server.start()
    yield server
    server.stop(grace_s=5)


def settings_of(bundle: Path) -> ServerSettings:
    return toy_settings(bundle, bundle=None, models=bundle.parent.parent, metrics_port=0, model_poll_s=0)


@pytest.fixture
def growth(server: AisleServer) -> Growth:
    return Growth(server)


def test_durations_are_counted_once_per_answered_request(stub: Stub, growth: Growth, jpeg: bytes):
    responses = [
        ask(stub, named("red shirt")),
        ask(stub, named("red shirt"), named("laptop")),
        ask(stub, pb.Product(product_name="red shirt", image=jpeg)),
    ]
    phases = ("decode", "queue", "inference", "request")
    found = growth.found(*(f"aisle_{phase}_duration_seconds_{part}" for phase in phases for part in ("count", "sum")))
    counts = {key[0]: value for key, value in found.items() if key[0].endswith("_count")}
    assert counts == {f"aisle_{p}_duration_seconds_count": 1 if p == "decode" else 3 for p in phases}
    assert {key[1:] for key in found} == {TOY}
    for phase, field in zip(phases, ("decode_ms", "queue_ms", "inference_ms", "total_ms"), strict=True):
        reported_s = sum(getattr(response.timings, field) for response in responses) / 1000
        assert found[f"aisle_{phase}_duration_seconds_sum", *TOY] == pytest.approx(reported_s, rel=1e-4)


def test_products_are_counted_by_outcome_category_and_reason(stub: Stub, growth: Growth):
    good = [named("데님 청바지"), named("반팔 티셔츠"), named("LG gram 노트북")]
    response = ask(stub, *good, pb.Product(image=b"no picture"), pb.Product())
    predictions = [c.prediction for c in response.classifications if c.HasField("prediction")]
    num_needs_review = sum(prediction.needs_review for prediction in predictions)
    expected = {("aisle_products_total", "toy", "error", "1"): 2}
    for outcome, count in (("needs_review", num_needs_review), ("accepted", 3 - num_needs_review)):
        if count:
            expected["aisle_products_total", "toy", outcome, "1"] = count
    assert growth.found("aisle_products_total") == expected
    found = growth.found("aisle_answered_categories_total")
    best = [prediction.categories[0].category.split(">")[0] for prediction in predictions]
    assert found == {
        ("aisle_answered_categories_total", category, *TOY): best.count(category) for category in set(best)
    }
    assert growth.found("aisle_product_errors_total") == {
        ("aisle_product_errors_total", "toy", "INVALID_PICTURE", "1"): 1,
        ("aisle_product_errors_total", "toy", "INVALID_PRODUCT", "1"): 1,
    }


def test_calls_are_counted_by_code_and_rejections_by_reason(stub: Stub, growth: Growth):
    ask(stub, named("red shirt"))
    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            ask(stub)
    stub.GetModel(pb.GetModelRequest(), timeout=30)
    messages = [pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named("a")] * n)) for n in (1, 0, 2)]
    assert [r.HasField("error") for r in stub.ClassifyStream(iter(messages), timeout=30)] == [False, True, False]
    assert growth.found("aisle_calls_total", "aisle_rejections_total") == {
        ("aisle_calls_total", "OK", "Classify"): 1,
        ("aisle_calls_total", "INVALID_ARGUMENT", "Classify"): 2,
        ("aisle_calls_total", "OK", "GetModel"): 1,
        ("aisle_calls_total", "OK", "ClassifyStream"): 1,
        ("aisle_rejections_total", "INVALID_REQUEST"): 3,
    }


def test_a_cancelled_call_is_counted_as_cancelled(stub: Stub, growth: Growth, engine_folder: Path):
    held = HeldEngine(engine_folder)
    call = stub.Classify.future(pb.ClassifyRequest(products=[named("a")]), timeout=30)
    held.wait_until_busy()
    call.cancel()
    expected = {("aisle_calls_total", "CANCELLED", "Classify"): 1, ("aisle_rejections_total", "CALLER_LEFT"): 1}
    wait_for(lambda: growth.found("aisle_calls_total", "aisle_rejections_total") == expected)
    held.release()
    ask(stub, named("a"))  # wait for the held batch, so that the next test does not count it


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    """Of a fresh server, which expects products to be quick, so that they wait for a full batch."""
    return settings_of(toy_bundle)


def test_batches_and_queues_are_read_at_each_scrape(fresh_server: AisleServer, fresh_stub: Stub, engine_faults: Path):
    growth, held, stub = Growth(fresh_server), HeldEngine(engine_faults), fresh_stub
    first = stub.Classify.future(pb.ClassifyRequest(products=[named("a")]), timeout=30)
    held.wait_until_busy()
    second = stub.Classify.future(pb.ClassifyRequest(products=[named("a")] * 3), timeout=30)
    wait_for(lambda: growth.found("aisle_queue_items") == {("aisle_queue_items", "text", "toy", "1"): 3})
    assert growth.found("aisle_calls_in_flight") == {("aisle_calls_in_flight",): 2}
    held.release()
    assert len(first.result(30).classifications) + len(second.result(30).classifications) == 4
    name = "aisle_batch_items"
    assert growth.found(f"{name}_sum", f"{name}_count") == {
        (f"{name}_sum", "text", "toy", "1"): 4,
        (f"{name}_count", "text", "toy", "1"): 2,
    }
    buckets = growth.found(f"{name}_bucket")
    counts = {key[2]: count for key, count in buckets.items() if (key[1], *key[3:]) == ("text", "toy", "1")}
    assert [counts.get(limit, 0) for limit in ("1.0", "2.0", "4.0", "+Inf")] == [1, 1, 2, 2]
    assert growth.found("aisle_queue_items") == {}


def test_versions_and_their_states_follow_the_folder(
    models: Path, toy_bundle: Path, watch_settings: ServerSettings, engine_faults: Path
):
    damage(add_version(toy_bundle, models / "shop/2"))
    server = AisleServer(dataclasses.replace(watch_settings, metrics_port=0), engine_command(engine_faults))
    server.start()
    with open_channel(server) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        ask(stub, named("a"))
        states = {key[2:] for key in values(scrape(server)) if key[0] == "aisle_model_state"}
        assert states == {("serving", "1"), ("refused", "2")}
        add_version(toy_bundle, models / "shop/3")
        wait_for(lambda: ("aisle_model_state", "shop", "serving", "3") in values(scrape(server)))
        ask(stub, named("a"))
        found = values(scrape(server))
        assert found["aisle_model_info", "openvino", "shop", "3"] == 1
        assert found["aisle_model_up", "shop", "3"] == 1
        assert found["aisle_engine_processes", "shop", "3"] == 1
        assert found["aisle_request_duration_seconds_count", "shop", "3"] == 1
        wait_for(lambda: ("aisle_request_duration_seconds_count", "shop", "1") not in values(scrape(server)))
        assert ("aisle_products_total", "shop", "accepted", "1") not in values(scrape(server))
    server.stop(grace_s=5)


def test_the_series_of_an_unloaded_version_stay_for_one_more_scrape(server: AisleServer):
    [model] = server.models
    metrics = Metrics()
    metrics.observe(model, RequestResult(), 0.1)
    count = ("aisle_request_duration_seconds_count", {"model": "toy", "version": "1"})
    for loaded, expected in (({TOY}, 1), (set(), 1), ({TOY}, 1), (set(), 1), (set(), None)):
        metrics.forget_unloaded(loaded)
        assert metrics.registry.get_sample_value(*count) == expected


def test_categories_beyond_the_limit_share_a_series(server: AisleServer, monkeypatch: pytest.MonkeyPatch):
    [model] = server.models
    names = tuple(f"category {i}" for i in range(MAX_CATEGORIES + 2))
    monkeypatch.setattr(model.pool, "description", dataclasses.replace(model.pool.description, categories=names))
    metrics = Metrics()
    metrics.observe(model, RequestResult(category_counts=Counter(range(len(names)))), 0.1)
    labels = {"model": "toy", "version": "1"}
    found = metrics.registry.get_sample_value
    assert found("aisle_answered_categories_total", {**labels, "category": "category 199"}) == 1
    assert found("aisle_answered_categories_total", {**labels, "category": "category 200"}) is None
    assert found("aisle_answered_categories_total", {**labels, "category": OTHER}) == 2


def test_calls_without_a_token_are_counted_and_unknown_methods_are_not(toy_bundle: Path, tmp_path: Path):
    token_file = tmp_path / "tokens"
    token_file.write_text(TOKEN)
    server = AisleServer(toy_settings(toy_bundle, metrics_port=0, token_file=token_file))
    server.start()
    with open_channel(server) as channel:
        for method in ("Classify", "ClassifyStream", "Made", "Up"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/aisle.v1.ProductClassifier/{method}")(b"", timeout=30)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    found = {key[1:]: value for key, value in values(scrape(server)).items() if key[0] == "aisle_calls_total"}
    assert found == {("UNAUTHENTICATED", "Classify"): 1, ("UNAUTHENTICATED", "ClassifyStream"): 1}
    assert values(scrape(server))["aisle_rejections_total", "INVALID_TOKEN"] == 4
    server.stop(grace_s=5)


@pytest.mark.parametrize(("path", "code"), [("/", 200), ("/v1/classify", 404), ("/metricsx", 404), ("/?a=b", 200)])
def test_other_paths_say_what_the_port_is_and_where_grpc_is(server: AisleServer, path: str, code: int):
    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=30)
    connection.request("GET", path)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    assert reply.status == code
    assert text.startswith("This port of Aisle serves metrics to Prometheus: GET /metrics. Products are classified by")
    assert f" on 127.0.0.1:{server.port}: " in text


def test_a_metrics_port_in_use_is_an_error(server: AisleServer, toy_bundle: Path):
    message = f"cannot listen on 127.0.0.1:{server.metrics_port} for metrics: .*; choose another --metrics-port"
    with pytest.raises(ListenError, match=message):
        AisleServer(toy_settings(toy_bundle, metrics_port=server.metrics_port)).start()


def test_a_stopped_server_frees_the_metrics_port(toy_bundle: Path):
    server = AisleServer(toy_settings(toy_bundle, metrics_port=0))
    server.start()
    assert values(scrape(server))
    server.stop(grace_s=5)
    with pytest.raises(OSError, match="refused"):
        scrape(server)
