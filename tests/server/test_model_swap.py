import dataclasses
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.faulty_engine import engine_command
from model.bundle_files import FILES
from model.errors import BundleError
from server.app import SERVICE_NAME, AisleServer
from server.settings import ServerSettings
from tests.server.support import (
    HeldEngine,
    Stub,
    add_version,
    ask,
    damage,
    is_running,
    named,
    open_channel,
    serving,
    wait_for,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def watching_server(watch_settings: ServerSettings, models: Path, engine_faults: Path) -> Iterator[AisleServer]:
    # An engine is held here while a version is loaded, which may take long on a busy machine.
    settings = dataclasses.replace(watch_settings, engine_timeout_s=60.0)
    server = AisleServer(settings, engine_command(engine_faults))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture
def watching_channel(watching_server: AisleServer) -> Iterator[grpc.Channel]:
    with open_channel(watching_server) as channel:
        yield channel


def test_no_call_fails_during_swaps_and_versions_only_move_forward(
    watching_server: AisleServer, watching_channel: grpc.Channel, models: Path, toy_bundle: Path, jpeg: bytes
):
    stub = Stub(watching_channel)
    is_over = threading.Event()
    num_calls = [0] * 4

    def caller(index: int) -> list[int]:
        versions = []
        while not is_over.is_set():
            response = ask(stub, named("red shirt"), pb.Product(product_name="shoe", image=jpeg), model="shop")
            assert [c.WhichOneof("outcome") for c in response.classifications] == ["prediction"] * 2
            versions.append(int(response.model_version))
            num_calls[index] += 1
        return versions

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(caller, index) for index in range(4)]
        try:
            for version in (2, 3):
                before = list(num_calls)
                wait_for(lambda before=before: all(now > then for now, then in zip(num_calls, before, strict=True)))
                add_version(toy_bundle, models / f"shop/{version}")
                wait_for(lambda version=version: serving(watching_server.models) == {"shop": str(version)})
            before = list(num_calls)
            wait_for(lambda: all(now > then + 1 for now, then in zip(num_calls, before, strict=True)))
        finally:
            is_over.set()
        for running in callers:
            versions = running.result()
            assert versions == sorted(versions)
            assert {1, 3} <= set(versions)


def test_a_call_in_flight_ends_on_the_version_it_began_with(
    watching_server: AisleServer, watching_channel: grpc.Channel, models: Path, toy_bundle: Path, engine_faults: Path
):
    stub = Stub(watching_channel)
    [old] = next(iter(watching_server.models)).pool.process_ids
    held = HeldEngine(engine_faults)
    running = stub.Classify.future(pb.ClassifyRequest(products=[named("red shirt")]), timeout=30)
    held.wait_until_busy()
    add_version(toy_bundle, models / "shop/2")
    wait_for(lambda: serving(watching_server.models) == {"shop": "2"})
    assert ask(stub, named("red shirt")).model_version == "2"
    assert is_running(old)
    held.release()
    assert running.result(30).model_version == "1"
    assert running.result(30).classifications[0].HasField("prediction")
    wait_for(lambda: not is_running(old))
    assert ask(stub, named("red shirt")).model_version == "2"


def test_health_is_updated_when_models_are_added_and_removed(
    watching_server: AisleServer, watching_channel: grpc.Channel, models: Path, toy_bundle: Path
):
    health = health_pb2_grpc.HealthStub(watching_channel)
    mall = health_pb2.HealthCheckRequest(service=f"{SERVICE_NAME}/mall")
    with pytest.raises(grpc.RpcError) as before:
        health.Check(mall, timeout=30)
    assert before.value.code() == grpc.StatusCode.NOT_FOUND
    watch = health.Watch(mall, timeout=60)
    assert next(watch).status == UNKNOWN
    add_version(toy_bundle, models / "mall/1")
    assert next(watch).status == SERVING
    assert ask(Stub(watching_channel), named("red shirt"), model="mall").model == "mall"
    shutil.rmtree(models / "mall")
    assert next(watch).status == UNKNOWN
    with pytest.raises(grpc.RpcError) as after:
        health.Check(mall, timeout=30)
    assert after.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as caught:
        ask(Stub(watching_channel), named("red shirt"), model="mall")
    assert "expected one of shop, found 'mall'" in caught.value.details()
    watch.cancel()


def test_a_start_without_any_valid_version_is_an_error(watch_settings: ServerSettings, models: Path, tmp_path: Path):
    damage(models / "shop/1")
    with pytest.raises(BundleError, match=f"shop/1 is damaged: {FILES.calibration}"):
        AisleServer(watch_settings).start()
    with pytest.raises(BundleError, match=r"no-such holds no model \(No such file or directory\): expected .*/<name>/"):
        AisleServer(dataclasses.replace(watch_settings, models=tmp_path / "no-such")).start()
    shutil.rmtree(models / "shop")
    with pytest.raises(BundleError, match=r"models holds no model: expected .*/<name>/<version>/manifest.json; move"):
        AisleServer(watch_settings).start()


def test_a_poll_interval_of_0_never_scans_again(watch_settings: ServerSettings, models: Path, toy_bundle: Path):
    server = AisleServer(dataclasses.replace(watch_settings, model_poll_s=0.0))
    server.start()
    assert "model-watcher" not in {thread.name for thread in threading.enumerate()}
    server.stop(grace_s=5)
