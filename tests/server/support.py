"""Helpers of the server's tests."""

import hashlib
import json
import math
import shutil
import struct
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from model.bundle_files import FILES
from model.prediction.answers import Prediction
from server.app import AisleServer
from server.calls.call import Call
from server.event_loop import EventLoop
from server.inference.engine_pool import EnginePool
from server.inference.part import Part, PartAnswer
from server.inference.request_run import RequestRun
from server.messages.request import parse_request
from server.models.registry import ModelRegistry
from server.settings import ServerSettings

Stub = classifier_pb2_grpc.ProductClassifierStub


def ask(stub: Stub, *products: pb.Product, **options) -> pb.ClassifyResponse:
    return stub.Classify(pb.ClassifyRequest(products=products, **options), timeout=30)


def later(stub: Stub, *products: pb.Product, timeout_s: float = 30, **options: Any) -> Any:
    """Send a request; return its future."""
    return stub.Classify.future(pb.ClassifyRequest(products=products, **options), timeout=timeout_s)


def toy_settings(bundle: Path, /, **changes: Any) -> ServerSettings:
    """Settings of a server on a free port with one engine process and small batches, of which it warms up all sizes."""
    settings = ServerSettings(
        bundle=bundle, host="127.0.0.1", port=0, engine="openvino", engine_processes=1, max_batch_items=16,
        max_batch_images=2,
    )  # fmt: skip
    return replace(settings, **changes)


def named(name: str) -> pb.Product:
    return pb.Product(product_id=f"id of {name}", product_name=name)


def violations(status: status_pb2.Status) -> list[str]:
    """Return the fields that a status' BadRequest names."""
    bad_request = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad_request) for detail in status.details)
    return [violation.field for violation in bad_request.field_violations]


def retry_delay_s(error: grpc.RpcError) -> float:
    """Return the retry delay in a rejected call's status, seconds."""
    retry_info = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert any(detail.Unpack(retry_info) for detail in status.details)
    return retry_info.retry_delay.ToMilliseconds() / 1000


def open_channel(server: AisleServer) -> grpc.Channel:
    """Open a channel with a connection of its own and without a limit of the message size."""
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options)


def add_version(bundle: Path, version: Path, metrics: dict[str, float] | None = None) -> Path:
    """Copy a bundle to models/<name>/<version>/ as training does: to a temporary folder, then renamed.

    Args:
        metrics: come beside the bundle's own, to distinguish two copies.
    """
    temporary = version.with_name(f".{version.name}.tmp")
    shutil.copytree(bundle, temporary)
    if metrics is not None:
        text = json.dumps({**json.loads((temporary / FILES.metrics).read_text()), **metrics})
        (temporary / FILES.metrics).write_text(text)
        manifest = json.loads((temporary / FILES.manifest).read_text())
        manifest["files"][FILES.metrics] = hashlib.sha256(text.encode()).hexdigest()
        (temporary / FILES.manifest).write_text(json.dumps(manifest))
    temporary.rename(version)
    return version


def serving(registry: ModelRegistry) -> dict[str, str]:
    return {state.name: state.version for state in registry.states if state.state == "serving"}


def scrape(server: AisleServer) -> list[Metric]:
    """Read the metrics as Prometheus does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=30) as reply:
        return list(text_string_to_metric_families(reply.read().decode()))


def values(families: list[Metric]) -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def damage(version: Path) -> None:
    with (version / FILES.calibration).open("a") as file:
        file.write(" ")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until another thread has made `condition` true."""
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("the condition never came true")


def same_prediction(message: pb.Prediction, expected: Prediction) -> bool:
    names = [category.category for category in message.categories]
    probabilities = [category.probability for category in message.categories]
    accepted = message.accepted.category if message.HasField("accepted") else None
    return (
        names == [category.category for category in expected.categories]
        and np.allclose(probabilities, [category.probability for category in expected.categories], atol=1e-5)
        and accepted == (expected.accepted.category if expected.accepted else None)
        and message.accepted_depth == (len(accepted.split(">")) if accepted else 0)
        and message.needs_review == expected.needs_review
    )


def is_running(pid: int) -> bool:
    """False for a process that has ended, even if nobody has waited for it yet."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def engine_processes(server: AisleServer) -> list[int]:
    """Numbers of the engine processes of a server's only model that answer."""
    [model] = server.models
    return model.pool.process_ids


def answered_by(
    pool: EnginePool, event_loop: EventLoop, request: pb.ClassifyRequest, timeout_s: float = math.inf
) -> pb.ClassifyResponse:
    """Have an engine pool answer a request without a server."""

    async def answer() -> bytes:
        call = Call(time.perf_counter() + timeout_s)
        run = RequestRun(pool, call, "caller", max_pixels=10**10)
        run.cut(parse_request(request.SerializeToString()))
        return (await run.answer()).content

    return pb.ClassifyResponse.FromString(event_loop.run(answer()))


def png(width: int, height: int) -> bytes:
    """A black PNG of a few KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(1)
    row = bytes(1 + 3 * width)
    body = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class RecordingOwner:
    """Records what becomes of its parts; see `server.inference.part.PartOwner`."""

    def __init__(self) -> None:
        self.answers: list[tuple[Part, PartAnswer]] = []
        self.errors: list[tuple[Part, Exception]] = []
        self.cuts: list[tuple[Part, list[Part]]] = []

    def on_answer(self, part: Part, answer: PartAnswer) -> None:
        self.answers.append((part, answer))

    def on_error(self, part: Part, error: Exception) -> None:
        self.errors.append((part, error))

    def on_cut(self, part: Part, parts: Sequence[Part]) -> None:
        self.cuts.append((part, list(parts)))

    def check_pixels(self, num_pixels: int) -> Exception | None:
        return None


def part_of(products: Sequence[pb.Product] = (), owner: RecordingOwner | None = None, **values: Any) -> Part:
    """A part with these products; any of its values can be set."""
    defaults: dict[str, Any] = {
        "content": pb.ClassifyRequest(products=products).SerializeToString(),
        "first_index": 0,
        "num_products": len(products) or 1,
        "num_pictures": sum(bool(product.image) for product in products),
        "num_chars": 0,
        "not_utf8": {},
        "caller": "caller",
        "call": "call",
        "deadline_s": math.inf,
    }
    return Part(owner or RecordingOwner(), **{**defaults, **values})


class HeldEngine:
    """Holds the engine processes of a server before each batch until `release`.

    Args:
        folder: see `benchmarks.resilience.faulty_engine`.
    """

    def __init__(self, folder: Path):
        self._hold, self._batches = folder / "hold", folder / "batches"
        self.hold()

    @property
    def batch_sizes(self) -> list[int]:
        """Sizes of the batches that were begun."""
        return [int(line) for line in self._batches.read_text().split()]

    def hold(self) -> None:
        """Hold the batches that begin from now on."""
        self._batches.write_text("")
        self._hold.touch()

    def wait_until_busy(self, num_batches: int = 1) -> None:
        wait_for(lambda: len(self.batch_sizes) >= num_batches)

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)
