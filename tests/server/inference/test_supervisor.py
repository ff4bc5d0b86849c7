"""A real server whose engine process fails or hangs: health shows it, and another one takes its place."""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from server.app import SERVICE_NAME, AisleServer
from server.errors import status_reason
from server.settings import ServerSettings
from tests.server.support import (
    HeldEngine,
    Stub,
    ask,
    engine_processes,
    is_running,
    later,
    named,
    toy_settings,
    violations,
    wait_for,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(toy_bundle, tmp_path / "shop" / "1"))


@pytest.fixture
def settings(bundle: Path) -> ServerSettings:
    return toy_settings(bundle, engine_timeout_s=1.0, max_batch_items=4, max_batch_images=2)


@pytest.fixture
def watches(fresh_server: AisleServer, fresh_channel: grpc.Channel) -> list[Iterator[health_pb2.HealthCheckResponse]]:
    """Watches of the health of the server and of its model, after the first SERVING."""
    model = next(iter(fresh_server.models)).name
    stub = health_pb2_grpc.HealthStub(fresh_channel)
    names = ("", f"{SERVICE_NAME}/{model}")
    watches = [stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=60) for name in names]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    return watches


def set_fault(engine_faults: Path, fault: str) -> None:
    """Make the engine processes that run now fail; see `benchmarks.resilience.faulty_engine`."""
    (engine_faults / "fault").write_text(fault)


@pytest.mark.parametrize("fault", ["raises", "exits", "hangs"])
@pytest.mark.parametrize("kind", ["text", "picture"])
def test_calls_to_an_engine_that_fails_are_answered_by_the_one_in_its_place(
    fault: str, kind: str, jpeg: bytes, engine_faults: Path, fresh_server: AisleServer, fresh_stub: Stub, watches
):
    [failing] = engine_processes(fresh_server)
    set_fault(engine_faults, fault)
    product = pb.Product(product_name="shirt", image=jpeg if kind == "picture" else b"")
    calls = [later(fresh_stub, product, named("shoe")) for _ in range(3)]
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    for call in calls:
        outcomes = [c.WhichOneof("outcome") for c in call.result(60).classifications]
        assert outcomes == ["prediction", "prediction"]
    [replacement] = engine_processes(fresh_server)
    assert replacement != failing
    assert not is_running(failing)


@pytest.mark.parametrize(("file", "end"), [("deadly", "has ended with SIGSEGV"), ("stuck", "made no progress for")])
def test_a_picture_that_ends_the_only_process_is_refused_and_the_rest_answered(
    file: str, end: str, jpeg: bytes, engine_faults: Path, fresh_stub: Stub, caplog: pytest.LogCaptureFixture
):
    wrong = jpeg + b"wrong"
    (engine_faults / file).write_text(hashlib.sha256(wrong).hexdigest())
    products = [named("shirt"), pb.Product(image=jpeg), pb.Product(image=wrong), named("shoe")]
    first, second, refused, last = ask(fresh_stub, *products).classifications
    assert [c.WhichOneof("outcome") for c in (first, second, last)] == ["prediction"] * 3
    assert status_reason(refused.error) == "POISONED_PRODUCT"
    assert violations(refused.error) == ["products[2]"]
    assert caplog.text.count(end) == 2


def test_a_process_that_cannot_be_started_is_tried_again(
    bundle: Path, engine_faults: Path, fresh_stub: Stub, watches, caplog: pytest.LogCaptureFixture
):
    [program] = bundle.glob("openvino/classifier.bin")
    good = program.read_bytes()
    program.write_bytes(good[:-1])
    set_fault(engine_faults, "raises")
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, named("shirt"))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the engine has failed and is being restarted; send the request again"
    wait_for(lambda: caplog.text.count("cannot be started yet") >= 2)
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, named("shirt"))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    program.write_bytes(good)
    assert [next(watch).status for watch in watches] == [SERVING, SERVING]
    assert ask(fresh_stub, named("shirt")).classifications[0].HasField("prediction")


def test_each_failed_start_is_followed_by_one_attempt(
    bundle: Path, fresh_server: AisleServer, watches, caplog: pytest.LogCaptureFixture
):
    (bundle / "manifest.json").unlink()
    os.kill(engine_processes(fresh_server)[0], signal.SIGKILL)
    wait_for(lambda: caplog.text.count("cannot be started yet") >= 3)
    assert len(next(iter(fresh_server.models)).pool._restarts) == 1
    assert next(watches[0]).status == NOT_SERVING


def test_a_server_stops_although_its_engine_is_down(bundle: Path, fresh_server: AisleServer, watches):
    (bundle / "manifest.json").unlink()
    os.kill(engine_processes(fresh_server)[0], signal.SIGKILL)
    assert next(watches[0]).status == NOT_SERVING
    fresh_server.stop(grace_s=5)


def test_a_process_that_is_held_up_less_than_the_timeout_is_kept(
    held: HeldEngine, fresh_server: AisleServer, fresh_stub: Stub
):
    """The time of a frame is the sum of polls: a process that was paused and continues is not taken for hanging."""
    [model] = fresh_server.models
    fresh_server._supervisor.stop()
    [process] = model.pool.dispatcher.processes
    running = later(fresh_stub, named("shirt"))
    held.wait_until_busy()
    reasons = [process.watch(0.4, 1.0) for _ in range(4)]  # the first one sees the step that began the frame
    assert reasons == ["", "", "", "made no progress for 1.2 s"]
    held.release()
    assert running.result(30).classifications[0].HasField("prediction")
    assert [process.watch(1000.0, 1.0) for _ in range(3)] == ["", "", ""]  # idle
