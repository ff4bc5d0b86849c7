import threading
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.calls.health import Health
from server.event_loop import EventLoop

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


@pytest.fixture
def health(event_loop: EventLoop) -> Health:
    return Health(["shop"], event_loop)


@pytest.fixture
def stub(health: Health, event_loop: EventLoop) -> Iterator[health_pb2_grpc.HealthStub]:
    """A stub of a real server with the health service alone."""

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = event_loop.run(start())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)
    health.end_watches()
    event_loop.run(server.stop(10))


def of(name: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=name)


def test_a_name_serves_from_serve_on_and_an_unknown_one_is_not_found(health: Health, stub: health_pb2_grpc.HealthStub):
    assert [stub.Check(of(name), timeout=30).status for name in ("", "shop")] == [NOT_SERVING, NOT_SERVING]
    health.serve()
    assert [stub.Check(of(name), timeout=30).status for name in ("", "shop")] == [SERVING, SERVING]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(of("no"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_list_has_every_name(health: Health, stub: health_pb2_grpc.HealthStub):
    health.serve()
    health.set_serving("shop", False)
    statuses = stub.List(health_pb2.HealthListRequest(), timeout=30).statuses
    assert {name: answer.status for name, answer in statuses.items()} == {"": SERVING, "shop": NOT_SERVING}


def test_a_watch_receives_changes_only_and_in_order(health: Health, stub: health_pb2_grpc.HealthStub):
    health.serve()
    watch = stub.Watch(of("shop"), timeout=30)
    assert next(watch).status == SERVING
    for is_serving in (True, False, False, True):
        health.set_serving("shop", is_serving)
    health.set_serving("", False)
    health.stop()
    health.set_serving("shop", True)  # too late
    health.end_watches()
    assert [response.status for response in watch] == [NOT_SERVING, SERVING, NOT_SERVING]


def test_a_removed_name_is_unknown_and_a_new_one_is_serving(health: Health, stub: health_pb2_grpc.HealthStub):
    health.serve()
    gone, new = stub.Watch(of("shop"), timeout=30), stub.Watch(of("mall"), timeout=30)
    assert [next(gone).status, next(new).status] == [SERVING, SERVICE_UNKNOWN]
    health.set_names(["mall"])
    assert [next(gone).status, next(new).status] == [SERVICE_UNKNOWN, SERVING]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(of("shop"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    health.set_serving("shop", True)  # no longer a known name
    assert stub.Check(of(""), timeout=30).status == SERVING


def test_watchers_that_leave_during_a_change_block_no_other(health: Health, stub: health_pb2_grpc.HealthStub):
    is_done = threading.Event()

    def change_repeatedly() -> None:
        while not is_done.is_set():
            health.set_serving("shop", True)
            health.set_serving("shop", False)

    changing = threading.Thread(target=change_repeatedly)
    changing.start()
    for _ in range(50):
        watch = stub.Watch(of("shop"), timeout=30)
        next(watch)
        watch.cancel()
    is_done.set()
    changing.join(30)
    assert not changing.is_alive()
    assert stub.Check(of("shop"), timeout=30).status == NOT_SERVING
