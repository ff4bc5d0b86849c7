"""A process ends with 0 on SIGTERM: after a reload, and before it serves."""

import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc

ONE_PRODUCT = pb.ClassifyRequest(products=[{"product_name": "red shirt"}])
_NUM_CALLERS = 4


def test_sigterm_with_calls_in_flight_drains_after_a_reload(toy_bundle: Path, tmp_path: Path):
    """A segmentation fault (exit code -11) where each program of OpenVINO had a core of its own."""
    models = tmp_path / "models"
    shutil.copytree(toy_bundle, models / "toy" / "1")
    flags = ["--models", str(models), "--host", "127.0.0.1", "--port", "0", "--engine", "openvino"]
    command = [sys.executable, "-m", "server", *flags, "--model-poll-s", "0.2", "--drain-delay-s", "0.5"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        log = iter(process.stderr)
        target = next(line for line in log if "listening on 127.0.0.1:" in line).split()[-1]
        shutil.copytree(toy_bundle, models / "toy" / ".new")
        (models / "toy" / ".new").rename(models / "toy" / "2")
        next(line for line in log if "serving toy 2 " in line)
        codes: Counter[grpc.StatusCode] = Counter()
        busy = threading.Semaphore(0)

        def ask_until_rejected() -> None:
            with grpc.insecure_channel(target) as channel:
                stub = classifier_pb2_grpc.ProductClassifierStub(channel)
                while not codes[grpc.StatusCode.UNAVAILABLE]:
                    call = stub.Classify.future(ONE_PRODUCT, timeout=30)
                    codes[call.code()] += 1
                    busy.release()

        callers = [threading.Thread(target=ask_until_rejected) for _ in range(_NUM_CALLERS)]
        for caller in callers:
            caller.start()
        for _ in range(2 * _NUM_CALLERS):
            assert busy.acquire(timeout=30)
        process.send_signal(signal.SIGTERM)
        rest = "".join(log)
        for caller in callers:
            caller.join(30)
    assert process.returncode == 0, rest
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def test_a_signal_during_the_imports_ends_the_process_with_0(toy_bundle: Path):
    """Sent when the first of them begins; as process 1 nothing would end one without a handler."""
    program = (
        "import os, runpy, signal, sys\n"
        "class Sender:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tyro' and self in sys.meta_path:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Sender())\n"
        "runpy.run_module('server', run_name='__main__')\n"
    )
    flags = ["--bundle", str(toy_bundle), "--host", "127.0.0.1", "--port", "0", "--engine", "openvino"]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "listening" not in done.stderr
