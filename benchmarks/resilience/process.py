"""A server in a process of its own, to be monitored and killed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.channel import CHANNEL_OPTIONS

#: Connections are not shared between channels, so that each caller has its own.
OWN_CONNECTION = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))

_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """The resources of a process, or of several.

    Args:
        rss_mib: resident memory, MiB.
    """

    rss_mib: float
    num_threads: int
    num_files: int


def usage_of(pid: int) -> Usage:
    """Read the resources of a process from /proc.

    Raises:
        OSError: the process is gone.
    """
    process = Path(f"/proc/{pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    num_files = sum(1 for _ in (process / "fd").iterdir())
    return Usage(int(fields["VmRSS"].split()[0]) * 1024 / _MIB, int(fields["Threads"]), num_files)


def children_of(pid: int) -> list[int]:
    """The numbers of the processes that a process has started; empty when it is gone."""
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children


class ServerProcess:
    """Runs `python -m MODULE` on a free port of this machine; the constructor waits until it serves, a `with` stops it.

    Args:
        flags: the server's flags.
        module: the module to run, which takes the server's flags.
    Raises:
        SystemExit: the server did not become ready; with the end of its log.
    """

    def __init__(self, *flags: str, module: str = "server"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--drain-delay-s", "0"]
        exact = ["--engine", "openvino", "--precision", "float32"]
        self._command = [sys.executable, "-m", module, *address, *exact, *flags]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed at the end of the `with`
        self.start()

    @property
    def target(self) -> str:
        """HOST:PORT of the server."""
        return f"127.0.0.1:{self.port}"

    @property
    def usage(self) -> Usage:
        """The current resources of the process and its engine processes together."""
        usages = [usage_of(self._process.pid)]
        for pid in self.engine_processes:
            with suppress(OSError):  # it has just ended
                usages.append(usage_of(pid))
        return Usage(
            sum(usage.rss_mib for usage in usages),
            sum(usage.num_threads for usage in usages),
            sum(usage.num_files for usage in usages),
        )

    @property
    def engine_processes(self) -> list[int]:
        """The numbers of its engine processes."""
        return children_of(self._process.pid)

    @property
    def is_running(self) -> bool:
        """True while the process is running."""
        return self._process.poll() is None

    def start(self) -> None:
        """Start the process, on the same port, and wait until it serves."""
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while not self.is_serving():
            if not self.is_running or time.monotonic() > deadline_s:
                self.kill()
                raise SystemExit(f"the server did not become ready; the end of its log:\n{self.log_tail()}")
            time.sleep(0.05)

    def is_serving(self) -> bool:
        """Return True when its health is SERVING; False without an answer."""
        with grpc.insecure_channel(self.target, options=OWN_CONNECTION) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=5)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self._read_log()[-4000:]

    def num_logged(self, text: str) -> int:
        """Return the number of times that its log says a text."""
        return self._read_log().count(text)

    def _read_log(self) -> str:
        number = self._log.fileno()  # shared with the server, whose place in it has to stay
        return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace")

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()
