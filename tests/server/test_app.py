import dataclasses
import errno
import shutil
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from server.app import SERVICE_NAME, AisleServer, ListenError
from server.settings import ServerSettings
from tests.server.support import HeldEngine, open_channel, retry_delay_s, toy_settings, wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
ONE_PRODUCT = pb.ClassifyRequest(products=[{"product_name": "red shirt"}])


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    return toy_settings(toy_bundle, max_products_per_request=2, max_queue_items=2, max_queue_images=2)


def test_health_has_a_status_for_the_server_the_service_and_each_model(server: AisleServer, channel: grpc.Channel):
    health = health_pb2_grpc.HealthStub(channel)
    model = next(iter(server.models)).name
    for name in ("", SERVICE_NAME, f"{SERVICE_NAME}/{model}"):
        assert health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="no"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_is_listened_on(settings: ServerSettings, host: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 9)) == errno.EADDRNOTAVAIL:
            pytest.skip("this machine has no IPv6")
    server = AisleServer(dataclasses.replace(settings, host=host, metrics_port=0))
    server.start()
    with grpc.insecure_channel(f"[::1]:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == SERVING
    with urllib.request.urlopen(f"http://[::1]:{server.metrics_port}/metrics", timeout=30) as answer:
        assert answer.status == 200
    server.stop(grace_s=1)
    assert f"listening on [::1]:{server.port}" in caplog.text


def reflect(channel: grpc.Channel, version: str, **request: str) -> reflection_pb2.ServerReflectionResponse:
    """Ask reflection; both versions have the same messages, so that the stubs of one read the other's."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    [response] = ask(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=30)
    return response


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services(channel: grpc.Channel, version: str):
    response = reflect(channel, version, list_services="")
    names = {service.name for service in response.list_services_response.service}
    assert names == {
        SERVICE_NAME,
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_describes_itself_and_the_service(channel: grpc.Channel, version: str):
    """A tool that lists the services asks for the descriptor of each."""
    for service in (SERVICE_NAME, f"grpc.reflection.{version}.ServerReflection"):
        response = reflect(channel, version, file_containing_symbol=service)
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(content)
            for content in response.file_descriptor_response.file_descriptor_proto
        ]
        assert service in {f"{file.package}.{found.name}" for file in files for found in file.service}
        types = {f".{file.package}.{message.name}" for file in files for message in file.message_type}
        methods = [method for file in files for found in file.service for method in found.method]
        assert {method.input_type for method in methods} | {method.output_type for method in methods} <= types


def test_a_full_queue_is_resource_exhausted_and_queued_requests_are_answered(
    held: HeldEngine, fresh_channel: grpc.Channel
):
    stub = classifier_pb2_grpc.ProductClassifierStub(fresh_channel)
    calls = [stub.Classify.future(ONE_PRODUCT, timeout=30)]
    held.wait_until_busy()
    waiting = pb.ClassifyRequest(products=[{"product_name": "a"}, {"product_name": "b"}])
    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(stub.Classify, waiting, timeout=30) for _ in range(2)]
        rejected = next(attempt for attempt in as_completed(attempts, timeout=30) if attempt.exception())
        assert rejected.exception().code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "the text queue is full: it holds 2 of 2 items, 2 more do not fit" in rejected.exception().details()
        assert retry_delay_s(rejected.exception()) > 0
        held.release()
    [answered] = [attempt.result() for attempt in attempts if attempt is not rejected]
    assert len(answered.classifications) == 2
    assert len(calls[0].result(30).classifications) == 1


def test_nothing_is_computed_for_a_cancelled_call(
    held: HeldEngine, fresh_server: AisleServer, fresh_channel: grpc.Channel
):
    stub = classifier_pb2_grpc.ProductClassifierStub(fresh_channel)
    first = stub.Classify.future(ONE_PRODUCT, timeout=30)
    held.wait_until_busy()
    queue = next(iter(fresh_server.models)).pool.scheduler.texts
    left = stub.Classify.future(pb.ClassifyRequest(products=[{"product_name": "a"}] * 2), timeout=30)
    wait_for(lambda: queue.items == 2)
    left.cancel()
    wait_for(lambda: queue.items == 0)
    expired = stub.Classify.future(pb.ClassifyRequest(products=[{"product_name": "a"}] * 2), timeout=0.2)
    assert expired.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: queue.items == 0)
    held.release()
    assert len(first.result(30).classifications) == 1
    assert held.batch_sizes == [1]


def test_a_port_in_use_is_an_error(server: AisleServer, settings: ServerSettings):
    second = AisleServer(dataclasses.replace(settings, port=server.port))
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{server.port}: .*; choose another --port"):
        second.start()


def test_several_models_are_served_by_name_the_newest_version_of_each(
    toy_bundle: Path, settings: ServerSettings, tmp_path: Path
):
    for name in ("shop/9", "shop/10", "mall/v1"):
        shutil.copytree(toy_bundle, tmp_path / name)
    server = AisleServer(dataclasses.replace(settings, bundle=None, models=tmp_path))
    server.start()
    with open_channel(server) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        found = [stub.GetModel(pb.GetModelRequest(model=name), timeout=30) for name in ("shop", "mall")]
        assert [(model.model, model.model_version) for model in found] == [("shop", "10"), ("mall", "v1")]
        with pytest.raises(grpc.RpcError) as caught:
            stub.Classify(ONE_PRODUCT, timeout=30)
        assert "model: expected a name, this server holds several models: mall, shop" in caught.value.details()
    server.stop(grace_s=5)
