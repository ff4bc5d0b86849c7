"""The client's wheel where a shop would install it: alone, and beside a library of Google's that needs proto-plus."""

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: What a shop's backend does; the first argument is the server, the second whether googleapis-common-protos is there.
PROGRAM = """
import asyncio, sys
from importlib.util import find_spec

import grpc
from aisle_client import AisleClient, AsyncAisleClient, CallError, Failure, Prediction, Product
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc

target, is_beside = sys.argv[1], sys.argv[2] == "beside"
if is_beside:
    import google.cloud.storage
    import proto
    from google.rpc import error_details_pb2

    class Greeting(proto.Message):
        text = proto.Field(proto.STRING, number=1)

    assert Greeting(text="hello").text == "hello"
assert (find_spec("google.rpc") is not None) == is_beside

products = [Product("1", "skinny jeans", image_features=[0.5]), Product("2")]

async def classify():
    async with AsyncAisleClient(target) as client:
        return await client.classify(products[1:])

with AisleClient(target) as client:
    first, second = client.classify([Product("1", "스키니 데님 청바지"), Product("2")], include_embedding=True)
    assert isinstance(first, Prediction) and len(first.embedding) > 1, first
    assert isinstance(second, Failure) and second.code == "INVALID_ARGUMENT", second
    assert [result.product_id for result in client.classify_stream(products)] == ["1", "2"]
    try:
        client.classify([Product("1", "a")], top_k=101)
    except CallError as error:
        assert error.violations == {"top_k": "expected 1 to 100, or 0 for 5; found 101"}, error.violations
assert asyncio.run(classify()) == [second]
with grpc.insecure_channel(target) as channel:
    request = classifier_pb2.ClassifyRequest(products=[{"product_name": "청바지"}, {}])
    response = classifier_pb2_grpc.ProductClassifierStub(channel).Classify(request)
    assert response.classifications[1].error.message, response
print(first.categories[0].category)
"""

#: Right types, and what a type checker has to refuse.
TYPED = """
from aisle_client import AisleClient, Failure, Prediction, Product
from aisle_client.v1 import classifier_pb2

with AisleClient("localhost:50051", timeout_s=5) as client:
    for result in client.classify([Product("1", "a")]):
        if isinstance(result, Prediction):
            reveal_type(result.categories[0].probability)
    reveal_type(client.get_model().limits.max_products)
    client.classify(["a"])
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)


def pip(*arguments: str | Path, cwd: Path) -> None:
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as `make client-wheel` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    probe = ("download", "--no-deps", "--dest", folder / "probe", "hatchling")
    if run(sys.executable, "-m", "pip", *probe, cwd=folder).returncode:
        pytest.skip("no package index can be reached, from which pip takes what builds the wheel")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT / "client", cwd=folder)
    (path,) = folder.glob("aisle_client-*.whl")
    return path


def environment(folder: Path, *wanted: str | Path) -> Path:
    """Make a virtual environment and return its Python."""
    python = folder / "venv/bin/python"
    assert run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder).returncode == 0
    pip("--python", python, "install", *wanted, cwd=folder)
    return python


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it needs."""
    return environment(tmp_path_factory.mktemp("alone"), wheel)


def test_the_wheel_holds_the_client_its_stubs_and_its_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        needs = Parser().parsestr(files.read(metadata).decode()).get_all("Requires-Dist")
        grpc_stub = files.read("aisle_client/v1/classifier_pb2_grpc.py").decode()
        messages = files.read("aisle_client/v1/classifier_pb2.py").decode()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"aisle_client"}
    assert {f"aisle_client/{name}" for name in ("py.typed", "v1/classifier_pb2.pyi", "client.py", "LICENSE")} <= names
    assert not [name for name in names if "__pycache__" in name]
    grpc_version = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", grpc_stub)[1]
    protobuf_version = re.search(r"Protobuf Python Version: ([\d.]+)", messages)[1]
    assert needs == [f"grpcio<2,>={grpc_version}", f"protobuf<8,>={protobuf_version}"]


def test_it_needs_grpcio_and_protobuf_only(alone: Path, target: str, tmp_path: Path) -> None:
    done = run(alone, "-c", PROGRAM, target, "alone", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "의류>하의>청바지\n"), done.stderr


def test_it_works_beside_a_google_cloud_library(wheel: Path, target: str, tmp_path: Path) -> None:
    python = environment(tmp_path, wheel, "google-cloud-storage", "proto-plus")
    done = run(python, "-c", PROGRAM, target, "beside", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "의류>하의>청바지\n"), done.stderr


def test_a_type_checker_knows_its_types(alone: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "shop.py").write_text(TYPED)
    flags = ("--strict", "--python-executable", alone, "--cache-dir", tmp_path)
    found = run(sys.executable, "-m", "mypy", *flags, "shop.py", cwd=tmp_path).stdout
    assert re.findall(r'Revealed type is "(?:builtins\.)?(\w+)"', found) == ["float", "int"], found
    assert re.findall(r"error: (.*) \[", found) == [
        'List item 0 has incompatible type "str"; expected "ProductLike" '
    ], found


@pytest.mark.usefixtures("wheel")
def test_without_the_repository_around_it_the_build_says_what_it_misses(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "client", tmp_path / "client")
    done = run(sys.executable, "-m", "pip", "wheel", "--no-deps", tmp_path / "client", cwd=tmp_path)
    assert done.returncode == 1
    assert f"expected aisle_client/ and contract/ in {tmp_path}, found none; build in a clone of Aisle" in done.stderr
