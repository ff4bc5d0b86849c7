"""Connections of a real server: pings, callers that vanish, idleness and age."""

import dataclasses
import queue

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.raw_http2 import EMPTY_MESSAGE, END_STREAM, RawConnections
from server.app import SERVICE_NAME, AisleServer
from server.connections import connection_options
from server.settings import ServerSettings
from tests.server.support import Stub, ask, named, open_channel, wait_for

NUM_PINGS = 6  # grpc ends the connection at the third that comes too soon


@pytest.fixture
def settings(settings: ServerSettings, request: pytest.FixtureRequest) -> ServerSettings:
    """The test's own settings by `parametrize("settings", [{...}], indirect=True)`."""
    return dataclasses.replace(settings, **getattr(request, "param", {}))


def send_pings(connections: RawConnections) -> None:
    """Send pings, each after the answer to the one before, until the server closes the connection."""
    for count in range(1, NUM_PINGS + 1):
        connections.ping()
        wait_for(lambda: connections.num_pings_answered == count or connections.num_closing > 0)  # noqa: B023


@pytest.mark.parametrize("settings", [{"min_ping_interval_s": 0.0}], indirect=True)
def test_pings_are_welcome_without_a_call(fresh_server: AisleServer):
    with RawConnections(fresh_server.port) as connections:
        send_pings(connections)
        assert connections.num_pings_answered == NUM_PINGS
        assert connections.num_closing == 0


@pytest.mark.parametrize("settings", [{"min_ping_interval_s": 60.0}], indirect=True)
def test_pings_more_often_than_allowed_end_the_connection(fresh_server: AisleServer):
    with RawConnections(fresh_server.port) as connections:
        send_pings(connections)
        assert connections.num_closing == 1


def test_pings_every_10_s_are_welcome_by_default_and_a_vanished_caller_is_found_within_a_minute(
    settings: ServerSettings,
):
    options = dict(connection_options(settings))
    assert options["grpc.http2.min_ping_interval_without_data_ms"] < 10_000
    for timeout in ("grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms"):  # gRPC waits for the longer one
        assert options["grpc.keepalive_time_ms"] + options[timeout] < 60_000


@pytest.mark.parametrize("settings", [{"keepalive_s": 0.2, "keepalive_timeout_s": 0.2}], indirect=True)
def test_a_caller_that_vanished_is_found(fresh_server: AisleServer):
    """Its connection stays open, as that of a machine without power; a caller that still answers keeps its calls."""
    open_calls = fresh_server._open_calls
    with RawConnections(fresh_server.port, 3) as vanished, RawConnections(fresh_server.port) as silent:
        for connections in (vanished, silent):
            connections.begin_calls(f"/{SERVICE_NAME}/ClassifyStream")
            connections.begin_calls("/grpc.health.v1.Health/Watch", EMPTY_MESSAGE, END_STREAM)
        wait_for(lambda: sum(open_calls.counts.values()) == 8)
        vanished.is_silent.set()
        wait_for(lambda: sum(open_calls.counts.values()) == 2)
        assert silent.num_closing == 0


@pytest.mark.parametrize("settings", [{"max_connection_idle_s": 0.2}], indirect=True)
def test_a_connection_without_calls_is_closed(fresh_server: AisleServer):
    with RawConnections(fresh_server.port) as idle, RawConnections(fresh_server.port) as used:
        used.begin_calls(f"/{SERVICE_NAME}/ClassifyStream")
        wait_for(lambda: idle.num_closing > 0)
        assert used.num_closing == 0


@pytest.mark.parametrize("settings", [{"max_connection_age_s": 0.2, "max_connection_age_grace_s": 0.2}], indirect=True)
def test_an_old_connection_is_closed_and_its_calls_end_after_their_grace(fresh_server: AisleServer):
    with RawConnections(fresh_server.port) as connections:
        connections.begin_calls(f"/{SERVICE_NAME}/ClassifyStream")
        wait_for(lambda: connections.num_closing > 0)
        wait_for(lambda: sum(fresh_server._open_calls.counts.values()) == 0)


def test_zero_means_no_limit(settings: ServerSettings):
    free = dataclasses.replace(
        settings, keepalive_s=0, max_connection_idle_s=0, max_connection_age_s=0, max_connection_age_grace_s=0
    )
    options = dict(connection_options(free))
    names = ("keepalive_time", "max_connection_idle", "max_connection_age", "max_connection_age_grace")
    assert [options[f"grpc.{name}_ms"] for name in names] == [2**31 - 1] * 4


@pytest.mark.parametrize("settings", [{"max_calls_per_connection": 2}], indirect=True)
def test_a_connection_has_so_many_calls_and_others_are_answered(fresh_server: AisleServer, fresh_stub: Stub):
    open_calls = fresh_server._open_calls
    with open_channel(fresh_server) as channel:
        messages: queue.SimpleQueue[None] = queue.SimpleQueue()
        silent = [Stub(channel).ClassifyStream(iter(messages.get, None)) for _ in range(2)]
        wait_for(lambda: open_calls.counts["stream"] == 2)
        with pytest.raises(grpc.RpcError) as caught:
            Stub(channel).Classify(pb.ClassifyRequest(products=[named("shirt")]), timeout=1)
        assert caught.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        assert ask(fresh_stub, named("shirt")).classifications[0].HasField("prediction")
        for stream in silent:
            messages.put(None)
            assert list(stream) == []
        wait_for(lambda: open_calls.counts["stream"] == 0)
        assert ask(Stub(channel), named("shirt")).classifications[0].HasField("prediction")
