"""Memory of a real server: large messages that it refuses are freed, and do not stand in the way of others."""

import gc
from pathlib import Path

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from model.machine.memory import allocated_bytes
from server.app import SERVICE_NAME, AisleServer
from server.settings import ServerSettings
from tests.server.support import Stub, ask, named, open_channel, toy_settings, wait_for

MIB = 2**20


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    return toy_settings(toy_bundle, max_message_bytes=8 * MIB, max_memory_bytes=20 * MIB)


def send(server: AisleServer, content: bytes, count: int) -> list[grpc.StatusCode]:
    """Send a message over as many connections at the same time; return the codes of the calls."""
    channels = [open_channel(server) for _ in range(count)]
    calls = [channel.unary_unary(f"/{SERVICE_NAME}/Classify").future(content, timeout=60) for channel in channels]
    codes = [call.code() for call in calls]
    for channel in channels:
        channel.close()
    return codes


def test_refused_messages_are_freed_and_others_are_answered(fresh_server: AisleServer, fresh_stub: Stub):
    junk = pb.ClassifyRequest(products=[pb.Product(image=b"\xff\xd8\xff" + bytes(7 * MIB))]).SerializeToString()
    assert ask(fresh_stub, named("shirt")).classifications
    gc.collect()
    before = allocated_bytes()
    codes = [code for _ in range(3) for code in send(fresh_server, junk, 12)]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert ask(fresh_stub, named("shirt")).classifications
    wait_for(lambda: gc.collect() >= 0 and allocated_bytes() < before + 16 * MIB)
    assert not any(fresh_server._memory.reserved_bytes.values())
