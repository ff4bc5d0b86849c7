"""A real server whose engine fails or hangs: health shows it, and the engine is restarted."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server.inference.lanes import Item, Lanes

from aisle_client.v1 import classifier_pb2 as pb
from model.engines.engine import Engine
from model.features import Features
from model.predictor import Predictor
from model.product import Product
from server.app import SERVICE_NAME, AisleServer
from server.errors import EngineDownError
from server.inference.supervisor import Backoff
from server.settings import ServerSettings
from tests.server.support import Stub, ask, named, wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class FaultyEngine:
    """An engine that raises or hangs for any input, while `fault` is set."""

    def __init__(self, engine: Engine):
        self.name = engine.name
        self.device = engine.device
        self.num_streams = engine.num_streams
        self.max_images = engine.max_images
        self.raises = False
        self.hangs = threading.Event()
        self.released = threading.Event()
        self.entered = threading.Semaphore(0)
        self._engine = engine

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        self._fail()
        return self._engine.encode_images(images)

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        self._fail()
        return self._engine.classify(features, all_heads)

    def close(self) -> None:
        self._engine.close()

    def _fail(self) -> None:
        if self.hangs.is_set():
            self.entered.release()
            assert self.released.wait(60)
        if self.raises:
            raise RuntimeError("the device is lost")


@pytest.fixture
def bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(toy_bundle, tmp_path / "shop" / "1"))


@pytest.fixture
def settings(bundle: Path) -> ServerSettings:
    return ServerSettings(
        bundle=bundle, host="127.0.0.1", port=0, engine="openvino", engine_threads=1, engine_timeout_s=0.5
    )


@pytest.fixture
def engine(fresh_server: AisleServer) -> Iterator[FaultyEngine]:
    """A faulty engine in place of the served model's own."""
    predictor = next(iter(fresh_server.models)).predictor
    engine = predictor.engine = FaultyEngine(predictor.engine)
    yield engine
    engine.released.set()


@pytest.fixture
def watches(fresh_server: AisleServer, fresh_channel: grpc.Channel) -> list[Iterator[health_pb2.HealthCheckResponse]]:
    """Watches of the health of the server and of its model, after the first SERVING."""
    model = next(iter(fresh_server.models)).name
    stub = health_pb2_grpc.HealthStub(fresh_channel)
    names = ("", f"{SERVICE_NAME}/{model}")
    watches = [stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=60) for name in names]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    return watches


def later(stub: Stub, *products: pb.Product) -> grpc.Future:
    return stub.Classify.future(pb.ClassifyRequest(products=products), timeout=30)


@pytest.mark.parametrize("product", [named("shirt"), "picture"], ids=["text", "picture"])
def test_an_engine_that_fails_with_everything_is_replaced(
    product, jpeg: bytes, engine: FaultyEngine, fresh_stub: Stub, watches, request: pytest.FixtureRequest
):
    lane = request.node.callspec.id
    engine.raises = True
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, pb.Product(image=jpeg) if product == "picture" else product)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == f"the {lane} engine has failed and is being restarted; send the request again"
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    products = [named("shirt"), pb.Product(image=jpeg)]
    assert all(c.HasField("prediction") for c in ask(fresh_stub, *products).classifications)


def test_an_engine_that_hangs_is_replaced_and_its_requests_are_unavailable(
    engine: FaultyEngine, fresh_stub: Stub, fresh_server: AisleServer, watches
):
    model = next(iter(fresh_server.models))
    engine.hangs.set()
    calls = [later(fresh_stub, named("running"))]
    assert engine.entered.acquire(timeout=20)
    calls.append(later(fresh_stub, named("waiting")))
    assert {call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}
    assert {call.details() for call in calls} == {
        "the text engine hangs and is being restarted; send the request again"
    }
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    assert ask(fresh_stub, named("shirt")).classifications[0].HasField("prediction")
    assert model.predictor.engine is not engine
    engine.released.set()  # late results of the old engine are dropped
    assert ask(fresh_stub, named("shirt")).classifications[0].HasField("prediction")


def test_an_engine_that_cannot_be_opened_is_tried_again(
    bundle: Path, engine: FaultyEngine, fresh_stub: Stub, watches, caplog: pytest.LogCaptureFixture
):
    [program] = bundle.glob("openvino/classifier.bin")
    good = program.read_bytes()
    program.write_bytes(good[:-1])
    engine.raises = True
    with pytest.raises(grpc.RpcError):
        ask(fresh_stub, named("shirt"))
    wait_for(lambda: caplog.text.count("cannot be opened yet") >= 2)
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, named("shirt"))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    program.write_bytes(good)
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    assert ask(fresh_stub, named("shirt")).classifications[0].HasField("prediction")


def test_a_server_stops_although_its_engine_is_down(bundle: Path, fresh_server: AisleServer, fresh_stub: Stub, watches):
    predictor = next(iter(fresh_server.models)).predictor
    engine = predictor.engine = FaultyEngine(predictor.engine)
    (bundle / "manifest.json").unlink()
    engine.raises = True
    with pytest.raises(grpc.RpcError):
        ask(fresh_stub, named("shirt"))
    assert next(watches[0]).status == NOT_SERVING
    fresh_server.stop(grace_s=5)


def test_the_time_of_a_batch_is_the_sum_of_polls(bundle: Path, settings: ServerSettings):
    """A process that was paused and continues must not take its engines for hanging."""
    predictor = Predictor.open(bundle, "openvino")
    engine = predictor.engine = FaultyEngine(predictor.engine)
    lanes = Lanes(predictor, settings)
    assert lanes.watch(1000) is None  # idle
    engine.hangs.set()
    future = lanes.text.submit([Item(Product("", product_name="shirt"), top_k=1, all_heads=False)], num_bytes=10)
    assert engine.entered.acquire(timeout=10)
    assert [lanes.watch(0.2) for _ in range(3)] == [None, None, None]  # seen for 0, 0.2 and 0.4 s
    fault = lanes.watch(0.2)
    assert isinstance(fault, EngineDownError)
    assert str(fault) == "the text engine hangs and is being restarted; send the request again"
    assert future.exception(10) is fault
    engine.released.set()
    lanes.close()


def test_delays_between_attempts_grow_and_reset_after_a_time_without_failures():
    now_s = 0.0
    backoff = Backoff(lambda: now_s)
    delays_s = [backoff.next_delay_s() for _ in range(9)]
    assert delays_s == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    now_s = 89.0
    assert backoff.next_delay_s() == 30.0
    now_s = 89.0 + 30.0 + 60.0
    assert backoff.next_delay_s() == 0.0
