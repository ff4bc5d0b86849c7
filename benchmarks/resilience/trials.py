"""What is done to a server while callers go on asking; each trial ends when the trouble is over."""

import random
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.resilience.callers import Callers
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from benchmarks.resilience.proxy import Proxy
from benchmarks.resilience.truth import TOP_K
from benchmarks.resilience.versions import copy_in_place, grow_disk, size_bytes, write_version
from client.channel import PLAIN_TEXT, open_channel
from client.messages import product_message
from model.product import Product
from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc

_SLOW_BYTES_PER_S = 8_000
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_POLL_S = 0.05
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Stage:
    """What a trial has to work with.

    Args:
        bundle, changed_bundle: two bundles of the same products with different answers.
        models: folder of models/<name>/<version>/ that the server watches; None where it serves `bundle` itself.
        trouble_s: how long a trouble lasts that has no end of its own, seconds.
        num_strangers: callers or connections that make trouble.
    """

    server: ServerProcess
    callers: Callers
    products: Sequence[Product]
    bundle: Path
    changed_bundle: Path
    models: Path | None
    trouble_s: float
    num_strangers: int


@dataclass(frozen=True)
class Trouble:
    """What a trial has done; times on the clock of `time.monotonic`.

    Args:
        began_s: from when on the recovery counts.
        over_s: when callers could be answered again, as far as the trial knows.
        note: what may be told about it.
    """

    began_s: float
    over_s: float
    note: str = ""


Trial = Callable[[Stage], Trouble]


def engine_raises(stage: Stage) -> Trouble:
    """The engine raises at whatever it is given."""
    return _break_engine(stage, signal.SIGUSR1)


def engine_hangs(stage: Stage) -> Trouble:
    """The engine never comes back."""
    return _break_engine(stage, signal.SIGUSR2)


def kill(stage: Stage) -> Trouble:
    """SIGKILL, and a new process at once."""
    stage.server.kill()
    since_s = time.monotonic()
    stage.server.start()
    return Trouble(since_s, since_s, f"serving after {time.monotonic() - since_s:.1f} s")


def stop_and_continue(stage: Stage) -> Trouble:
    """SIGSTOP, and SIGCONT later."""
    stage.server.send_signal(signal.SIGSTOP)
    time.sleep(stage.trouble_s)
    since_s = time.monotonic()
    stage.server.send_signal(signal.SIGCONT)
    return Trouble(since_s, since_s, f"stopped for {stage.trouble_s:g} s")


def cancellation_storm(stage: Stage) -> Trouble:
    """Strangers who ask and leave at once, or a little later."""
    rng = random.Random(0)
    messages = [product_message(product) for product in stage.products]
    num_calls = 0
    with open_channel(stage.server.target, PLAIN_TEXT, OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        end_s = time.monotonic() + stage.trouble_s
        while time.monotonic() < end_s:
            products = rng.choices(messages, k=8)
            request = classifier_pb2.ClassifyRequest(products=products, top_k=TOP_K)
            calls = [stub.Classify.future(request, timeout=30) for _ in range(stage.num_strangers)]
            for call in calls:
                time.sleep(rng.choice((0.0, 0.0, 0.002)))
                call.cancel()
            num_calls += len(calls)
    return _over_now(f"{num_calls} calls cancelled")


def slow_clients(stage: Stage) -> Trouble:
    """Strangers whose bytes trickle, and some who connect and say nothing or little."""
    port = stage.server.port
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(port, bytes_per_s=_SLOW_BYTES_PER_S))
        for number in range(stage.num_strangers):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            silent.sendall(_PREFACE[: number % len(_PREFACE)])
        calls = _ask_through(proxy, stage, stack)
        time.sleep(stage.trouble_s)
        num_answered = sum(call.done() and call.exception() is None for call in calls)
        for call in calls:
            call.cancel()
    return _over_now(f"{num_answered} of {len(calls)} slow calls answered, the rest left")


def half_closed_connections(stage: Stage) -> Trouble:
    """Strangers who close their direction in the middle of a request, or right after it, and wait."""
    num_closed = 0
    end_s = time.monotonic() + stage.trouble_s
    size = len(product_message(stage.products[0]).SerializeToString())
    while time.monotonic() < end_s:
        for close_after_bytes in (40, 100 + size // 2, 300 + size):
            with ExitStack() as stack:
                proxy = stack.enter_context(Proxy(stage.server.port, close_after_bytes=close_after_bytes))
                calls = _ask_through(proxy, stage, stack)
                time.sleep(0.2)
                for call in calls:
                    call.cancel()
                num_closed += proxy.num_closed
    return _over_now(f"{num_closed} connections closed halfway")


def reload_under_load(stage: Stage) -> Trouble:
    """New versions with other answers, one after the other; each answer has to be that of the version it names."""
    assert stage.models is not None
    versions = ("2", "3", "4")
    for version in versions:
        bundle = stage.changed_bundle if int(version) % 2 == 0 else stage.bundle
        write_version(bundle, stage.models / "shop" / version)
        waited_s = _wait_for_version(stage, version)
    return _over_now(f"versions {', '.join(versions)}, the last after {waited_s:.1f} s")


def full_disk(stage: Stage) -> Trouble:
    """A version whose copy met the end of the disk; it is served once it is whole."""
    assert stage.models is not None
    model = stage.models / "shop"
    size = size_bytes(stage.changed_bundle)
    is_real = stage.models.is_mount()
    if is_real:
        _fill(stage.changed_bundle, model / "9")
    else:
        copy_in_place(stage.changed_bundle, model / "9", max_bytes=size // 2)
    time.sleep(stage.trouble_s)
    if not stage.server.is_running or "9" in stage.callers.versions:
        raise SystemExit(f"a version cut off on a full disk was served; the server's log:\n{stage.server.log_tail()}")
    if is_real:
        grow_disk(stage.models, 4 * size)
    copy_in_place(stage.changed_bundle, model / "9")
    waited_s = _wait_for_version(stage, "9")
    kind = "a full disk" if is_real else "a copy cut off (no disk could be mounted here)"
    return _over_now(f"{kind}; whole, it was served after {waited_s:.1f} s")


def _over_now(note: str) -> Trouble:
    now_s = time.monotonic()
    return Trouble(now_s, now_s, note)


def _break_engine(stage: Stage, number: signal.Signals) -> Trouble:
    """Send a signal to `faulty_server` and wait until its health has told of the fault, and of the new engine."""
    began_s = time.monotonic()
    stage.server.send_signal(number)
    notices_s = []
    for expected in (False, True):
        while stage.server.is_serving() is not expected:
            if time.monotonic() - began_s > _TIMEOUT_S:
                told = f"expected its health to say {'SERVING' if expected else 'NOT_SERVING'}"
                raise SystemExit(f"{told} in {_TIMEOUT_S:g} s; the server's log:\n{stage.server.log_tail()}")
            time.sleep(_POLL_S)
        notices_s.append(time.monotonic() - began_s)
    note = "NOT_SERVING after {:.1f} s, SERVING after {:.1f} s".format(*notices_s)
    return Trouble(began_s, time.monotonic(), note)


def _fill(source: Path, target: Path) -> None:
    try:
        copy_in_place(source, target)
    except OSError:  # the disk is full, which is the point
        return
    raise SystemExit(f"expected no room for {target}, found enough")


def _wait_for_version(stage: Stage, version: str) -> float:
    """Seconds until callers were answered by a version."""
    started_s = time.monotonic()
    while version not in stage.callers.versions:
        if time.monotonic() - started_s > _TIMEOUT_S:
            raise SystemExit(f"version {version} was never served; the server's log:\n{stage.server.log_tail()}")
        time.sleep(_POLL_S)
    return time.monotonic() - started_s


def _ask_through(proxy: Proxy, stage: Stage, stack: ExitStack) -> list[grpc.Future]:
    """A call over a connection of its own for each stranger."""
    calls = []
    for number in range(stage.num_strangers):
        product = product_message(stage.products[number % len(stage.products)])
        channel = stack.enter_context(open_channel(f"127.0.0.1:{proxy.port}", PLAIN_TEXT, OWN_CONNECTION))
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        calls.append(stub.Classify.future(classifier_pb2.ClassifyRequest(products=[product]), timeout=30))
    return calls
