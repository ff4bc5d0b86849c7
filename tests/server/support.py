"""Helpers of the server's tests."""

import hashlib
import json
import shutil
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from model.bundle_files import FILES
from server.app import AisleServer
from server.models.registry import ModelRegistry

Stub = classifier_pb2_grpc.ProductClassifierStub


def ask(stub: Stub, *products: pb.Product, **options) -> pb.ClassifyResponse:
    return stub.Classify(pb.ClassifyRequest(products=products, **options), timeout=30)


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
        metrics: replace the bundle's metrics, to distinguish two copies.
    """
    temporary = version.with_name(f".{version.name}.tmp")
    shutil.copytree(bundle, temporary)
    if metrics is not None:
        text = json.dumps(metrics)
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


class HeldEngine:
    """Holds the engine processes of a server before each batch until `release`.

    Args:
        folder: see `benchmarks.resilience.faulty_engine`.
    """

    def __init__(self, folder: Path):
        self._hold, self._batches = folder / "hold", folder / "batches"
        self._hold.touch()
        self._batches.write_text("")

    @property
    def batch_sizes(self) -> list[int]:
        """Sizes of the batches that were begun."""
        return [int(line) for line in self._batches.read_text().split()]

    def wait_until_busy(self, num_batches: int = 1) -> None:
        wait_for(lambda: len(self.batch_sizes) >= num_batches)

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)
