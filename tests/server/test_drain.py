"""A real server drains: no answer is lost, and every caller gets a status."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from server.app import AisleServer
from tests.server.support import HeldEngine, open_channel

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ONE_PRODUCT = pb.ClassifyRequest(products=[{"product_name": "red shirt"}])


@pytest.fixture
def watch(fresh_channel: grpc.Channel) -> Iterator[health_pb2.HealthCheckResponse]:
    """A watch of health, after the first SERVING."""
    watch = health_pb2_grpc.HealthStub(fresh_channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert next(watch).status == SERVING
    return watch


def start_stopping(server: AisleServer, grace_s: float, drain_delay_s: float = 0.0) -> threading.Thread:
    thread = threading.Thread(target=server.stop, args=(grace_s, drain_delay_s))
    thread.start()
    return thread


def wait_until_rejected(fresh_stub: classifier_pb2_grpc.ProductClassifierStub) -> grpc.RpcError:
    """Call GetModel, which needs no engine, until it is rejected; return the first error."""
    while True:
        try:
            fresh_stub.GetModel(pb.GetModelRequest(), timeout=30)
        except grpc.RpcError as error:
            return error


def test_running_calls_end_and_new_ones_on_open_connections_are_unavailable(
    fresh_server: AisleServer, fresh_stub: classifier_pb2_grpc.ProductClassifierStub, held: HeldEngine, watch
):
    running = fresh_stub.Classify.future(ONE_PRODUCT, timeout=30)
    held.wait_until_busy()
    stopping = start_stopping(fresh_server, grace_s=20)
    assert next(watch).status == NOT_SERVING
    rejected = wait_until_rejected(fresh_stub)
    assert rejected.code() == grpc.StatusCode.UNAVAILABLE
    assert rejected.details() == "the server is stopping; send the request to another one"
    assert stopping.is_alive()
    held.release()
    assert len(running.result(30).classifications) == 1
    stopping.join(20)
    assert not stopping.is_alive()
    assert list(watch) == []  # it ended


def test_calls_are_still_answered_during_the_drain_delay(
    fresh_server: AisleServer, fresh_stub: classifier_pb2_grpc.ProductClassifierStub, watch
):
    stopping = start_stopping(fresh_server, grace_s=20, drain_delay_s=1.5)
    assert next(watch).status == NOT_SERVING
    assert len(fresh_stub.Classify(ONE_PRODUCT, timeout=30).classifications) == 1
    assert wait_until_rejected(fresh_stub).code() == grpc.StatusCode.UNAVAILABLE
    stopping.join(20)
    assert not stopping.is_alive()


def test_callers_in_a_loop_never_see_another_code_than_unavailable(fresh_server: AisleServer):
    is_stopped = threading.Event()

    def ask_in_a_loop(_: int) -> Counter[grpc.StatusCode]:
        codes: Counter[grpc.StatusCode] = Counter()
        with open_channel(fresh_server) as channel:
            stub = classifier_pb2_grpc.ProductClassifierStub(channel)
            while not is_stopped.is_set():
                call = stub.Classify.future(ONE_PRODUCT, timeout=30)
                codes[call.code()] += 1
                if codes[grpc.StatusCode.OK] == 5:
                    busy.release()
        return codes

    busy = threading.Semaphore(0)
    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(ask_in_a_loop, i) for i in range(4)]
        for _ in callers:
            assert busy.acquire(timeout=30)
        fresh_server.stop(grace_s=20)
        is_stopped.set()
        codes = sum((caller.result(30) for caller in callers), Counter())
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def test_a_call_longer_than_the_grace_period_is_unavailable(
    fresh_server: AisleServer, fresh_stub: classifier_pb2_grpc.ProductClassifierStub, held: HeldEngine
):
    running = fresh_stub.Classify.future(ONE_PRODUCT, timeout=30)
    held.wait_until_busy()
    stopping = start_stopping(fresh_server, grace_s=0)
    assert running.code() == grpc.StatusCode.UNAVAILABLE
    assert "had to stop before the answer was ready; send the request to another one" in running.details()
    held.release()
    stopping.join(20)
    assert not stopping.is_alive()


def test_an_open_stream_does_not_delay_the_stop(fresh_server: AisleServer, fresh_channel: grpc.Channel):
    stub = classifier_pb2_grpc.ProductClassifierStub(fresh_channel)
    closed = threading.Event()

    def requests():
        yield pb.ClassifyStreamRequest(request=ONE_PRODUCT)
        closed.wait(30)

    stream = stub.ClassifyStream(requests(), timeout=60)
    assert next(stream).HasField("response")
    stopping = threading.Thread(target=fresh_server.stop, args=(60,))
    stopping.start()
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "send what has no answer yet to another one" in caught.value.details()
    stopping.join(20)
    assert not stopping.is_alive()
    closed.set()


def test_sigterm_drains_and_exits_with_0_and_tensorflow_was_never_imported(toy_bundle: Path):
    program = (
        "import sys, runpy, atexit\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'training', 'client'}\n"
        "atexit.register(lambda: print('imported', sorted(heavy & set(sys.modules))))\n"
        "runpy.run_module('server', run_name='__main__')\n"
    )
    flags = [
        "--bundle",
        str(toy_bundle),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--engine",
        "openvino",
        "--drain-delay-s",
        "0",
    ]
    command = [sys.executable, "-c", program, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        log = iter(process.stderr)
        line = next(line for line in log if "listening on 127.0.0.1:" in line)
        with grpc.insecure_channel(line.split()[-1]) as channel:
            stub = classifier_pb2_grpc.ProductClassifierStub(channel)
            assert len(stub.Classify(ONE_PRODUCT, timeout=30).classifications) == 1
        process.send_signal(signal.SIGTERM)
        out = process.stdout.read()
        rest = "".join(log)
    assert (process.returncode, out) == (0, "imported []\n")
    assert "stopped" in rest
    assert "Traceback" not in rest
