"""Fixtures: a running server with the toy bundle, and broken or hostile pictures."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from PIL import Image

from aisle_client.v1 import classifier_pb2_grpc
from benchmarks.resilience.faulty_engine import engine_command
from model.predictor import Predictor
from server.app import AisleServer
from server.settings import ServerSettings
from tests.server.support import HeldEngine, add_version, open_channel, toy_settings


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(toy_settings(toy_bundle))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="session")
def predictor(toy_bundle: Path) -> Predictor:
    """The toy bundle in this process, which says what the right answers are."""
    return Predictor.open(toy_bundle, "openvino")


@pytest.fixture(scope="module")
def channel(server: AisleServer) -> Iterator[grpc.Channel]:
    with open_channel(server) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> classifier_pb2_grpc.ProductClassifierStub:
    return classifier_pb2_grpc.ProductClassifierStub(channel)


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    return toy_settings(toy_bundle)


@pytest.fixture
def engine_faults(tmp_path: Path) -> Path:
    """A folder for the faults of `fresh_server`'s engine processes; see `benchmarks.resilience.faulty_engine`."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


@pytest.fixture
def fresh_server(settings: ServerSettings, engine_faults: Path) -> Iterator[AisleServer]:
    """A server for one test, which may stop or break it; a test file may override `settings`."""
    server = AisleServer(settings, engine_command(engine_faults))
    server.start()
    yield server
    server.stop(grace_s=0)


@pytest.fixture
def fresh_channel(fresh_server: AisleServer) -> Iterator[grpc.Channel]:
    with open_channel(fresh_server) as channel:
        yield channel


@pytest.fixture
def fresh_stub(fresh_channel: grpc.Channel) -> classifier_pb2_grpc.ProductClassifierStub:
    return classifier_pb2_grpc.ProductClassifierStub(fresh_channel)


@pytest.fixture
def held(fresh_server: AisleServer, engine_faults: Path) -> Iterator[HeldEngine]:
    """The engine process of `fresh_server`, held until it is released."""
    held = HeldEngine(engine_faults)
    yield held
    held.release()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A picture of 80 x 60 pixels."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((80, 60)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.fixture
def watch_settings(tmp_path: Path) -> ServerSettings:
    """Settings with small batches, because each version warms up all batch sizes."""
    return ServerSettings(
        models=tmp_path / "models", host="127.0.0.1", port=0, engine="openvino", model_poll_s=0.02,
        max_batch_items=4, max_batch_images=2, engine_processes=1,
    )  # fmt: skip


@pytest.fixture
def models(watch_settings: ServerSettings, toy_bundle: Path) -> Path:
    """A folder with version 1 of `shop`."""
    assert watch_settings.models is not None
    add_version(toy_bundle, watch_settings.models / "shop/1")
    return watch_settings.models
