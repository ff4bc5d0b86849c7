"""The competitors of `benchmarks.serving.comparison`: starting, calling and stopping each server."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from benchmarks.peers import mlserver, mosec, triton
from benchmarks.peers.launch import Launch, PeerModel, free_port
from benchmarks.peers.tuning import TUNED, Tuning
from benchmarks.serving.protocols import PROTOCOLS, Answer, ProtocolName
from model.engines.engine import EngineName, Precision
from model.product import Product

ServerName = Literal["aisle", "tensorflow", "triton-onnx", "triton-openvino", "mosec", "mlserver"]
ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "peers"
_READY_TIMEOUT_S = 120
_STOP_TIMEOUT_S = 60
_ASK_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ServedBundle:
    """The bundle that all competitors serve.

    Args:
        precision: arithmetic of OpenVINO; the other engines compute in float32.
    """

    bundle: Path
    precision: Precision = "float32"


def protocol_of(name: ServerName) -> ProtocolName:
    """Return the protocol of a competitor."""
    if name.startswith("triton") or name == "mlserver":
        return "open-inference"
    return "mosec" if name == "mosec" else "aisle"


def environment_of(name: ServerName) -> Path | None:
    """Return the virtual environment of a peer; None for the current one."""
    return None if name in ("aisle", "tensorflow") else ENVIRONMENTS / name.partition("-")[0]


def is_installed(name: ServerName) -> bool:
    """Return True when the environment of a competitor exists."""
    environment = environment_of(name)
    return environment is None or (environment / "bin" / "python").exists()


@contextmanager
def running_server(name: ServerName, served: ServedBundle, tuning: Tuning | None = None) -> Iterator[int]:
    """Run a server in processes of its own on a free port, ready to answer, and stop it at the end.

    Args:
        tuning: settings of a peer other than the tuned ones.
    Raises:
        SystemExit: the server ended or did not answer in time.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+b") as log:
        launch = _launch(name, served, tuning or TUNED.get(name), Path(folder), port)
        process = subprocess.Popen(
            launch.command,
            stdout=log,
            stderr=log,
            env={**os.environ, **launch.environment},
            cwd=ROOT,
            start_new_session=True,  # so that all its processes can be killed
        )
        try:
            _wait_until_answering(name, port, process, Path(folder) / "log")
            yield port
        finally:
            _stop(process)


def ask(name: ServerName, port: int, products: Sequence[Product]) -> list[Answer]:
    """Return a competitor's answers, with one request per product.

    Raises:
        ConnectionError: it does not answer; names the code.
    """
    protocol = PROTOCOLS[protocol_of(name)]

    async def ask_all() -> list[Answer]:
        answers = []
        async with protocol.connect(port) as send:
            for product in products:
                answer = await send(protocol.encode([product]), _ASK_TIMEOUT_S)
                if isinstance(answer, grpc.StatusCode):
                    raise ConnectionError(f"{name} rejects {product.product_id or 'a product'}: {answer.name}")
                answers += protocol.read(answer)
        return answers

    return asyncio.run(ask_all())


def _launch(name: ServerName, served: ServedBundle, tuning: Tuning | None, folder: Path, port: int) -> Launch:
    environment = environment_of(name)
    if environment is None:
        module, flags = "benchmarks.peers.tensorflow_server", []
        if name == "aisle":
            module, flags = "server", ["--host", "127.0.0.1", "--precision", served.precision]
        bundle = str(served.bundle.resolve())
        return Launch((sys.executable, "-m", module, "--bundle", bundle, "--port", str(port), *flags), {})
    assert tuning is not None
    engine: EngineName = "onnx" if name == "triton-onnx" else "openvino"
    precision: Precision = "float32" if engine == "onnx" else served.precision
    start = {"triton": triton.launch, "mosec": mosec.launch, "mlserver": mlserver.launch}[environment.name]
    launch = start(environment, folder, port, PeerModel(served.bundle, engine, precision, tuning))
    path = f"{environment.resolve() / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return Launch(launch.command, {**launch.environment, "PATH": path, "PYTHONPATH": str(ROOT)})


def _wait_until_answering(name: ServerName, port: int, process: subprocess.Popen, log: Path) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    reason = "it did not answer in time"
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            reason = f"it ended with {process.returncode}"
            break
        try:
            ask(name, port, [Product("ready", "shirt")])
        except ConnectionError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(
        f"{name} does not answer: {reason}; the end of its log:\n{log.read_text('utf-8', 'replace')[-5000:]}"
    )


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):  # no process was left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
