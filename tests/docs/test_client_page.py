"""The programs of the page about clients, run as they stand there."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from contract.generate import build_image
from tests.tls import make_tls

ROOT = Path(__file__).parents[2]
TOKEN = "a-good-token-0123456789"


@dataclass
class Busy(classifier_pb2_grpc.ProductClassifierServicer):
    """A server with a full queue at the first call, which is starting at the second, and answers the third."""

    calls: list[tuple[float, float, str]] = field(default_factory=list)  # when, time left, token

    def Classify(  # noqa: N802  gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        token = str(dict(context.invocation_metadata())["authorization"])
        self.calls.append((time.monotonic(), context.time_remaining(), token))
        if len(self.calls) == 1:
            delay = any_pb2.Any()
            delay.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=400_000_000)))
            full = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="full", details=[delay])
            context.abort_with_status(rpc_status.to_status(full))
        if len(self.calls) == 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        response = pb.ClassifyResponse()
        for product in request.products:
            answer = response.classifications.add(product_id=product.product_id)
            if product.product_name:
                answer.prediction.categories.add(category="의류>청바지", probability=0.75)
            else:
                answer.error.message = "every field is empty"
        return response

    def GetModel(self, request: pb.GetModelRequest, context: grpc.ServicerContext) -> pb.GetModelResponse:  # noqa: N802
        return pb.GetModelResponse(limits=pb.Limits(max_products=512, max_request_bytes=1 << 20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a program runs: beside the authority, the token and the contract."""
    make_tls(tmp_path, "localhost")
    (tmp_path / "token").write_text(TOKEN + "\n")
    build_image(tmp_path / "aisle.binpb", with_error_details=True)
    return tmp_path


@pytest.fixture
def busy(folder: Path) -> Iterator[tuple[Busy, str]]:
    """The server and its target."""
    servicer = Busy()
    server = grpc.server(ThreadPoolExecutor(2))
    classifier_pb2_grpc.add_ProductClassifierServicer_to_server(servicer, server)
    pair = ((folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield servicer, f"localhost:{port}"
    server.stop(0).wait()


def program(language: str) -> str:
    """The first program of a language on the page."""
    page = (ROOT / "docs/client.md").read_text(encoding="utf-8")
    return re.search(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]


def check(command: list[str], busy: tuple[Busy, str], folder: Path) -> None:
    """Run a program, and look at its output and at what the server saw."""
    servicer, target = busy
    arguments = [target, "ca.pem", "token", "청바지", ""]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 의류>청바지 0.750\n1 every field is empty\n"), done.stderr
    times, left, tokens = zip(*servicer.calls, strict=True)
    assert set(tokens) == {f"Bearer {TOKEN}"}
    assert times[1] - times[0] >= 0.4  # what RetryInfo asked for
    assert left[0] > left[1] > left[2] > 0  # one deadline for all attempts


def test_python(busy: tuple[Busy, str], folder: Path) -> None:
    check([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program('python')}"], busy, folder)


def test_node(busy: tuple[Busy, str], folder: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    (folder / "classify.js").write_text(program("javascript"), encoding="utf-8")
    install = [npm, "install", "--no-audit", "--no-fund", "@grpc/grpc-js", "@grpc/proto-loader"]
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("no npm registry can be reached")
    check([node, "classify.js"], busy, folder)
