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
    """Of a real server with nothing but health."""

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


def test_a_watch_hears_of_changes_only_and_in_order(health: Health, stub: health_pb2_grpc.HealthStub):
    health.serve()
    watch = stub.Watch(of("shop"), timeout=30)
    assert next(watch).status == SERVING
    for is_serving in (True, False, False, True):
        health.tell("shop", is_serving)
    health.tell("", False)
    health.stop()
    health.tell("shop", True)  # too late
    health.end_watches()
    assert [response.status for response in watch] == [NOT_SERVING, SERVING, NOT_SERVING]


def test_a_name_that_goes_is_unknown_and_one_that_comes_serves(health: Health, stub: health_pb2_grpc.HealthStub):
    health.serve()
    gone, new = stub.Watch(of("shop"), timeout=30), stub.Watch(of("mall"), timeout=30)
    assert [next(gone).status, next(new).status] == [SERVING, SERVICE_UNKNOWN]
    health.follow(["mall"])
    assert [next(gone).status, next(new).status] == [SERVICE_UNKNOWN, SERVING]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(of("shop"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    health.tell("shop", True)  # nobody's business any more
    assert stub.Check(of(""), timeout=30).status == SERVING


def test_watchers_who_leave_while_a_status_changes_lock_nobody_up(health: Health, stub: health_pb2_grpc.HealthStub):
    is_done = threading.Event()

    def change_on_and_on() -> None:
        while not is_done.is_set():
            health.tell("shop", True)
            health.tell("shop", False)

    changing = threading.Thread(target=change_on_and_on)
    changing.start()
    for _ in range(50):
        watch = stub.Watch(of("shop"), timeout=30)
        next(watch)
        watch.cancel()
    is_done.set()
    changing.join(30)
    assert not changing.is_alive()
    assert stub.Check(of("shop"), timeout=30).status == NOT_SERVING
