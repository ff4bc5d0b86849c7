"""The server as a process: it ends with 0 whatever its engine does, and no engine process outlives it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.process import children_of
from tests.server.support import Stub, ask, is_running, later, named, wait_for


@contextmanager
def started(bundle: Path, *flags: str, module: str = "server") -> Iterator[tuple[subprocess.Popen, str, list[str]]]:
    """A server in a process group of its own, its address, and its log, which is complete at the end."""
    usual = ["--bundle", str(bundle), "--host", "127.0.0.1", "--port", "0", "--engine", "openvino"]
    small = ["--max-batch-items", "2", "--max-batch-images", "2", "--engine-processes", "2", "--drain-delay-s", "0"]
    command = [sys.executable, "-m", module, *usual, *small, *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        log: list[str] = []
        try:
            address = next(line for line in _kept(process.stderr, log) if "listening on 127.0.0.1:" in line).split()[-1]
            reader = threading.Thread(target=lambda: list(_kept(process.stderr, log)))
            reader.start()
            yield process, address, log
            reader.join(60)
        except BaseException:
            process.kill()
            sys.stderr.writelines(log)
            raise


def _kept(lines: Iterator[str], log: list[str]) -> Iterator[str]:
    for line in lines:
        log.append(line)
        yield line


@pytest.mark.parametrize("fault", [signal.SIGUSR2, signal.SIGSTOP], ids=["hangs", "stopped"])
def test_a_server_whose_engines_hang_for_ever_ends_after_its_grace(toy_bundle: Path, fault: signal.Signals):
    flags = ["--grace-s", "0.5", "--engine-timeout-s", "600"]
    with started(toy_bundle, *flags, module="benchmarks.resilience.faulty_server") as (process, address, _):
        engines = children_of(process.pid)
        assert len(engines) == 2
        for pid in [process.pid] if fault == signal.SIGUSR2 else engines:
            os.kill(pid, fault)
        with grpc.insecure_channel(address) as channel:
            running = later(Stub(channel), named("shirt"), timeout_s=60)
            process.send_signal(signal.SIGTERM)
            assert running.code() == grpc.StatusCode.UNAVAILABLE
        assert process.wait(60) == 0
    assert not any(map(is_running, engines))


def test_no_engine_process_outlives_a_killed_server(toy_bundle: Path):
    with started(toy_bundle) as (process, address, _):
        engines = children_of(process.pid)
        assert len(engines) == 2
        with grpc.insecure_channel(address) as channel:
            assert ask(Stub(channel), named("shirt")).classifications[0].HasField("prediction")
            process.kill()
        assert process.wait(60) == -signal.SIGKILL
        wait_for(lambda: not any(map(is_running, engines)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_whole_group_drains(toy_bundle: Path, number: signal.Signals):
    """Ctrl-C reaches the engine processes, too; they go on until everything is answered."""
    with started(toy_bundle) as (process, address, log):
        engines = children_of(process.pid)
        with grpc.insecure_channel(address) as channel:
            request = pb.ClassifyRequest(products=[named(f"red shirt {i}") for i in range(200)], include_words=True)
            running = [Stub(channel).Classify.future(request, timeout=60) for _ in range(4)]
            assert ask(Stub(channel), named("shirt")).classifications[0].HasField("prediction")
            os.killpg(process.pid, number)
            codes = {call.code() for call in running}
        assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert grpc.StatusCode.OK in codes
        assert process.wait(60) == 0
    assert not any(map(is_running, engines))
    assert not [line for line in log if "has ended" in line or "Traceback" in line]
