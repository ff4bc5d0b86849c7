"""Open calls test: thousands of silent callers take nobody's place.

    python -m benchmarks.resilience.held_open --bundle DIR --catalog FILE

Health watches, streams without a message and requests of half a message are held open on raw connections. Before,
meanwhile and afterwards callers classify, every answer checked, and ask for the health; the 99th percentile meanwhile
is compared with that of the other two phases.
"""

import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tyro
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.channel import PLAIN_TEXT, open_channel
from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from benchmarks.resilience.checks import Check, report_checks
from benchmarks.resilience.expected_answers import TOP_K, ExpectedAnswers, read_products
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from benchmarks.resilience.raw_http2 import EMPTY_MESSAGE, END_STREAM, HALF_MESSAGE, RawConnections

_SERVICE = "/aisle.v1.ProductClassifier"
_OPEN_TIMEOUT_S = 60.0
_POLL_S = 0.1
_TIMEOUT_S = 10.0
_CALLS_PER_CONNECTION = 100


@dataclass(frozen=True)
class Options:
    """Settings of the test."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    num_watches: int = 2000
    """Health watches held open."""
    num_streams: int = 2000
    """Streams held open that send nothing."""
    num_half_sent: int = 2000
    """Requests held open of which half a message was sent."""
    phase_s: float = 20.0
    """Duration of each phase, seconds."""
    pause_s: float = 0.02
    """Pause of a caller after each pair of calls, seconds; a server that is not busy shows what waiting costs."""
    num_callers: int = 2
    """Callers that classify and ask for the health in turn."""
    max_p99_factor: float = 2.0
    """Largest 99th percentile meanwhile, as a multiple of that without them."""
    limit: int = 100
    """Most rows of the catalog to use."""
    json: Path | None = None
    """File for all figures."""


@dataclass
class Phase:
    """The outcome of the calls of one phase.

    Args:
        classify_ms, health_ms: latencies of those that were answered, milliseconds.
        failed: errors of the others, and mismatches of wrong answers.
    """

    classify_ms: list[float] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __add__(self, other: "Phase") -> "Phase":
        return Phase(self.classify_ms + other.classify_ms, self.health_ms + other.health_ms, self.failed + other.failed)

    def p99_ms(self) -> tuple[float, float]:
        """Return the 99th percentiles of `Classify` and of health checks; nan without any."""
        classify_ms, health_ms = (
            float(np.percentile(found, 99)) if found else float("nan") for found in (self.classify_ms, self.health_ms)
        )
        return classify_ms, health_ms


class OpenCallsTrial:
    """Runs the phases against one server."""

    def __init__(self, options: Options):
        self._options = options
        self._products = read_products(options.catalog, options.limit)
        self._expected = ExpectedAnswers(options.bundle, self._products)
        self.wanted = {
            "watch": options.num_watches,
            "stream": options.num_streams,
            "arriving": options.num_half_sent,
        }

    def run(self) -> tuple[Phase, Phase, dict[str, int]]:
        """Return the calls before and afterwards, those meanwhile, and how many of each kind were held open then."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            metrics_port = int(probe.getsockname()[1])
        flags = ["--bundle", str(self._options.bundle), "--metrics-port", str(metrics_port)]
        with ServerProcess(*flags) as server:
            self._ask(server.target, self._options.phase_s / 4)  # warm
            usual = self._ask(server.target, self._options.phase_s)
            with ExitStack() as stack:
                for path, data, flags_of_data, count in self._kinds():
                    _hold(stack, server.port, path, data, flags_of_data, count)
                end_s = time.monotonic() + _OPEN_TIMEOUT_S
                while _open_calls(metrics_port) != self.wanted and time.monotonic() < end_s:
                    time.sleep(_POLL_S)
                meanwhile = self._ask(server.target, self._options.phase_s)
                found = _open_calls(metrics_port)
            return usual + self._ask(server.target, self._options.phase_s), meanwhile, found

    def _kinds(self) -> list[tuple[str, bytes, int, int]]:
        """List path, data, flags and number of the calls to be held open."""
        options = self._options
        return [
            ("/grpc.health.v1.Health/Watch", EMPTY_MESSAGE, END_STREAM, options.num_watches),
            (f"{_SERVICE}/ClassifyStream", b"", 0, options.num_streams),
            (f"{_SERVICE}/Classify", HALF_MESSAGE, 0, options.num_half_sent),
        ]

    def _ask(self, target: str, seconds: float) -> Phase:
        """Classify and ask for the health in turn, on several threads, for a time."""
        phase, end_s = Phase(), time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._run_caller, args=(target, phase, end_s, number), daemon=True)
            for number in range(self._options.num_callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return phase

    def _run_caller(self, target: str, phase: Phase, end_s: float, number: int) -> None:
        with open_channel(target, PLAIN_TEXT, OWN_CONNECTION) as channel:
            classify: Any = classifier_pb2_grpc.ProductClassifierStub(channel).Classify
            check: Any = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            while time.monotonic() < end_s:
                number += 1
                message = product_message(self._products[number % len(self._products)])
                request = classifier_pb2.ClassifyRequest(products=[message], top_k=TOP_K)
                response = _timed(partial(classify, request, timeout=_TIMEOUT_S), phase.classify_ms, phase.failed)
                if response is not None and (mismatch := self._expected.mismatch(response)):
                    phase.failed.append(mismatch)
                _timed(
                    partial(check, health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S), phase.health_ms, phase.failed
                )
                time.sleep(self._options.pause_s)


def main() -> None:
    """Run the test and report its checks."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.held_open", description=__doc__)
    trial = OpenCallsTrial(options)
    usual, meanwhile, found = trial.run()
    figures = {"p99_ms": {"usual": usual.p99_ms(), "meanwhile": meanwhile.p99_ms()}, "open_calls": found}
    title = f"{sum(trial.wanted.values())} calls held open: others are answered as before"
    report_checks(title, checks(options, trial.wanted, usual, meanwhile, found), figures, options.json)


def checks(
    options: Options, wanted: dict[str, int], usual: Phase, meanwhile: Phase, found: dict[str, int]
) -> list[Check]:
    """Build the checks of the phases."""
    failed = usual.failed + meanwhile.failed
    count = len(meanwhile.classify_ms) + len(meanwhile.health_ms)
    result = [
        Check(f"all are held open: {wanted}", f"{found}", found == wanted),
        Check(
            "no call of others failed, no answer was wrong",
            f"{len(failed)} of {count}{': ' + failed[0] if failed else ''}",
            bool(count) and not failed,
        ),
    ]
    for name, usual_ms, meanwhile_ms in zip(
        ("Classify", "health checks"), usual.p99_ms(), meanwhile.p99_ms(), strict=True
    ):
        result.append(
            Check(
                f"p99 of {name} at most {options.max_p99_factor:g} times that without them",
                f"{meanwhile_ms / usual_ms:.2f} ({meanwhile_ms:.1f} and {usual_ms:.1f} ms)",
                meanwhile_ms <= options.max_p99_factor * usual_ms,
            )
        )
    return result


def _hold(stack: ExitStack, port: int, path: str, data: bytes, flags: int, count: int) -> None:
    """Open calls on as many connections as they need, until the end of the stack's `with`."""
    for calls in (_CALLS_PER_CONNECTION, 1):
        num_connections, count = (count // calls, count % calls)
        if num_connections:
            connections = stack.enter_context(RawConnections(port, num_connections))
            for _ in range(calls):
                connections.begin_calls(path, data, flags)


def _open_calls(metrics_port: int) -> dict[str, int]:
    """Read the number of open calls by kind."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=_TIMEOUT_S) as reply:
        lines = reply.read().decode().splitlines()
    found = [line.split() for line in lines if line.startswith("aisle_open_calls{")]
    return {name.split('"')[1]: int(float(value)) for name, value in found}


def _timed(call: Callable[[], Any], latencies_ms: list[float], failed: list[str]) -> Any:
    """Return the response of a call and note its latency; None for one that fails, whose error is noted."""
    begun_s = time.perf_counter()
    try:
        response = call()
    except grpc.RpcError as error:
        failed.append(f"{error.code().name}: {error.details()}")
        return None
    latencies_ms.append((time.perf_counter() - begun_s) * 1000)
    return response


if __name__ == "__main__":
    main()
