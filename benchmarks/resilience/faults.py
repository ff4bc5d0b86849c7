"""Fault injection into a server under load; each function returns when its fault is over."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from aisle_client.channel import PLAIN_TEXT, open_channel
from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from benchmarks.resilience.callers import Callers
from benchmarks.resilience.expected_answers import TOP_K
from benchmarks.resilience.faulty_engine import DEADLY_PICTURE
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from benchmarks.resilience.proxy import Proxy
from benchmarks.resilience.versions import copy_in_place, grow_disk, size_bytes, write_version
from model.product import Product

_SLOW_BYTES_PER_S = 8_000
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: The server's log once an engine process answers in the place of one that ended.
_IS_BACK = " is back\n"
_POLL_S = 0.05
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class TestBed:
    """The server under test, its callers and the parameters of faults.

    Args:
        bundle, changed_bundle: two bundles with different answers to the same products.
        models: folder of models/<name>/<version>/ that the server watches; None when it serves `bundle` itself.
        fault_s: duration of faults without an end of their own, seconds.
        num_bad_clients: number of callers or connections that disturb the server.
    """

    server: ServerProcess
    callers: Callers
    products: Sequence[Product]
    bundle: Path
    changed_bundle: Path
    models: Path | None
    fault_s: float
    num_bad_clients: int


@dataclass(frozen=True)
class FaultWindow:
    """The window of a fault; times on the clock of `time.monotonic`.

    Args:
        began_s: start of the recovery time.
        over_s: time from which callers can be answered again.
        note: details for the report.
    """

    began_s: float
    over_s: float
    note: str = ""


Fault = Callable[[TestBed], FaultWindow]


def engine_raises(bed: TestBed) -> FaultWindow:
    """Make the engine raise for any input."""
    return _break_engine(bed, signal.SIGUSR1)


def engine_hangs(bed: TestBed) -> FaultWindow:
    """Make the engine hang."""
    return _break_engine(bed, signal.SIGUSR2)


def kill(bed: TestBed) -> FaultWindow:
    """Kill the server with SIGKILL and start a new process at once."""
    bed.server.kill()
    since_s = time.monotonic()
    bed.server.start()
    return FaultWindow(since_s, since_s, f"serving after {time.monotonic() - since_s:.1f} s")


def kill_engine(bed: TestBed) -> FaultWindow:
    """Kill one of the engine processes with SIGKILL."""
    return _replace_engine(bed, signal.SIGKILL)


def stop_engine(bed: TestBed) -> FaultWindow:
    """Stop one of the engine processes with SIGSTOP, for ever."""
    return _replace_engine(bed, signal.SIGSTOP)


def deadly_picture(bed: TestBed) -> FaultWindow:
    """Send a picture whose decoding ends an engine process, until it is refused; then once more."""
    began_s = time.monotonic()
    product = classifier_pb2.Product(image=DEADLY_PICTURE)
    refused_s: list[float] = []
    with open_channel(bed.server.target, PLAIN_TEXT, OWN_CONNECTION) as channel:
        classify = classifier_pb2_grpc.ProductClassifierStub(channel).Classify
        for _ in range(2):
            answer = classify(classifier_pb2.ClassifyRequest(products=[product]), timeout=_TIMEOUT_S)
            found = answer.classifications[0].error.message
            if "ended two engine processes" not in found:
                raise SystemExit(f"expected a deadly picture to be refused as such, found {found or 'an answer'}")
            refused_s.append(time.monotonic() - began_s)
    note = f"refused after {refused_s[0]:.1f} s, the second time {refused_s[1] - refused_s[0]:.3f} s later"
    return FaultWindow(began_s, time.monotonic(), note)


def stop_and_continue(bed: TestBed) -> FaultWindow:
    """Stop the server with SIGSTOP and continue it later with SIGCONT."""
    bed.server.send_signal(signal.SIGSTOP)
    time.sleep(bed.fault_s)
    since_s = time.monotonic()
    bed.server.send_signal(signal.SIGCONT)
    return FaultWindow(since_s, since_s, f"stopped for {bed.fault_s:g} s")


def cancellation_storm(bed: TestBed) -> FaultWindow:
    """Send many calls and cancel them immediately or shortly afterwards."""
    rng = random.Random(0)
    messages = [product_message(product) for product in bed.products]
    num_calls = 0
    with open_channel(bed.server.target, PLAIN_TEXT, OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        end_s = time.monotonic() + bed.fault_s
        while time.monotonic() < end_s:
            products = rng.choices(messages, k=8)
            request = classifier_pb2.ClassifyRequest(products=products, top_k=TOP_K)
            calls = [stub.Classify.future(request, timeout=30) for _ in range(bed.num_bad_clients)]
            for call in calls:
                time.sleep(rng.choice((0.0, 0.0, 0.002)))
                call.cancel()
            num_calls += len(calls)
    return _over_now(f"{num_calls} calls cancelled")


def slow_clients(bed: TestBed) -> FaultWindow:
    """Connect clients that send slowly, and some that send nothing or only part of the HTTP/2 preface."""
    port = bed.server.port
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(port, bytes_per_s=_SLOW_BYTES_PER_S))
        for number in range(bed.num_bad_clients):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            silent.sendall(_PREFACE[: number % len(_PREFACE)])
        calls = _call_through(proxy, bed, stack)
        time.sleep(bed.fault_s)
        num_answered = sum(call.done() and call.exception() is None for call in calls)
        for call in calls:
            call.cancel()
    return _over_now(f"{num_answered} of {len(calls)} slow calls answered, the others cancelled")


def half_closed_connections(bed: TestBed) -> FaultWindow:
    """Connect clients that half-close the connection in the middle of a request, or right after it."""
    num_closed = 0
    end_s = time.monotonic() + bed.fault_s
    size = len(product_message(bed.products[0]).SerializeToString())
    while time.monotonic() < end_s:
        for close_after_bytes in (40, 100 + size // 2, 300 + size):
            with ExitStack() as stack:
                proxy = stack.enter_context(Proxy(bed.server.port, close_after_bytes=close_after_bytes))
                calls = _call_through(proxy, bed, stack)
                time.sleep(0.2)
                for call in calls:
                    call.cancel()
                num_closed += proxy.num_closed
    return _over_now(f"{num_closed} connections half-closed")


def reload_under_load(bed: TestBed) -> FaultWindow:
    """Add versions with different answers, one after the other; each answer must be that of the version it names."""
    assert bed.models is not None
    versions = ("2", "3", "4")
    for version in versions:
        bundle = bed.changed_bundle if int(version) % 2 == 0 else bed.bundle
        write_version(bundle, bed.models / "shop" / version)
        waited_s = _wait_for_version(bed, version)
    return _over_now(f"versions {', '.join(versions)}, the last after {waited_s:.1f} s")


def full_disk(bed: TestBed) -> FaultWindow:
    """Copy a version to a full disk; it must be served only when it is complete."""
    assert bed.models is not None
    model = bed.models / "shop"
    size = size_bytes(bed.changed_bundle)
    is_real = bed.models.is_mount()
    if is_real:
        _fill(bed.changed_bundle, model / "9")
    else:
        copy_in_place(bed.changed_bundle, model / "9", max_bytes=size // 2)
    time.sleep(bed.fault_s)
    if not bed.server.is_running or "9" in bed.callers.versions:
        raise SystemExit(f"a truncated version was served; the server's log:\n{bed.server.log_tail()}")
    if is_real:
        grow_disk(bed.models, 4 * size)
    copy_in_place(bed.changed_bundle, model / "9")
    waited_s = _wait_for_version(bed, "9")
    kind = "a full disk" if is_real else "a truncated copy (no disk could be mounted here)"
    return _over_now(f"{kind}; the complete version was served after {waited_s:.1f} s")


def _over_now(note: str) -> FaultWindow:
    now_s = time.monotonic()
    return FaultWindow(now_s, now_s, note)


def _break_engine(bed: TestBed, number: signal.Signals) -> FaultWindow:
    """Send a signal to `faulty_server` and wait until its health reports the fault, and the new engine."""
    began_s = time.monotonic()
    bed.server.send_signal(number)
    detected_s = []
    for expected in (False, True):
        while bed.server.is_serving() is not expected:
            if time.monotonic() - began_s > _TIMEOUT_S:
                message = f"expected its health to say {'SERVING' if expected else 'NOT_SERVING'}"
                raise SystemExit(f"{message} in {_TIMEOUT_S:g} s; the server's log:\n{bed.server.log_tail()}")
            time.sleep(_POLL_S)
        detected_s.append(time.monotonic() - began_s)
    note = "NOT_SERVING after {:.1f} s, SERVING after {:.1f} s".format(*detected_s)
    return FaultWindow(began_s, time.monotonic(), note)


def _replace_engine(bed: TestBed, number: signal.Signals) -> FaultWindow:
    """Send a signal to an engine process and wait until another one answers in its place."""
    num_before = bed.server.num_logged(_IS_BACK)
    began_s = time.monotonic()
    os.kill(bed.server.engine_processes[0], number)
    while bed.server.num_logged(_IS_BACK) == num_before:
        if time.monotonic() - began_s > _TIMEOUT_S:
            raise SystemExit(f"no engine process came in the place of one that ended:\n{bed.server.log_tail()}")
        time.sleep(_POLL_S)
    return FaultWindow(began_s, time.monotonic(), f"replaced after {time.monotonic() - began_s:.1f} s")


def _fill(source: Path, target: Path) -> None:
    try:
        copy_in_place(source, target)
    except OSError:  # the disk is full, as intended
        return
    raise SystemExit(f"expected no room for {target}, found enough")


def _wait_for_version(bed: TestBed, version: str) -> float:
    """Wait until callers are answered by a version; return the time, seconds."""
    started_s = time.monotonic()
    while version not in bed.callers.versions:
        if time.monotonic() - started_s > _TIMEOUT_S:
            raise SystemExit(f"version {version} was never served; the server's log:\n{bed.server.log_tail()}")
        time.sleep(_POLL_S)
    return time.monotonic() - started_s


def _call_through(proxy: Proxy, bed: TestBed, stack: ExitStack) -> list[grpc.Future]:
    """Send a call over a connection of its own for each bad client."""
    calls = []
    for number in range(bed.num_bad_clients):
        product = product_message(bed.products[number % len(bed.products)])
        channel = stack.enter_context(open_channel(f"127.0.0.1:{proxy.port}", PLAIN_TEXT, OWN_CONNECTION))
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        calls.append(stub.Classify.future(classifier_pb2.ClassifyRequest(products=[product]), timeout=30))
    return calls
