import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from contract.generate import ROOT, build_image, generate

CONTRACT = Path("proto/aisle/v1/classifier.proto")
STUBS = Path("aisle_client/v1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the contract alone and no stubs."""
    (tmp_path / CONTRACT).parent.mkdir(parents=True)
    shutil.copy(ROOT / CONTRACT, tmp_path / CONTRACT)
    return tmp_path


def test_stubs_import_from_our_package(root: Path):
    assert generate(root) == [root / CONTRACT]
    stub = (root / STUBS / "classifier_pb2_grpc.py").read_text()
    assert "from aisle_client.v1 import classifier_pb2" in stub
    messages = (root / STUBS / "classifier_pb2.py").read_text()
    assert "from aisle_client.google_rpc import status_pb2" in messages
    assert "class ClassifyRequest" in (root / STUBS / "classifier_pb2.pyi").read_text()


def test_the_stubs_keep_the_contract_s_own_names():
    """Other languages, and tools that ask the server by reflection, know the file by them."""
    from aisle_client.v1 import classifier_pb2

    assert classifier_pb2.DESCRIPTOR.name == "aisle/v1/classifier.proto"
    assert classifier_pb2.Product.DESCRIPTOR.full_name == "aisle.v1.Product"
    assert classifier_pb2.Product.__module__ == "aisle_client.v1.classifier_pb2"


def test_messages_alone_load_no_grpc():
    """Processes that read requests and serve nobody start quicker and smaller without it."""
    program = "import sys; from aisle_client.v1 import classifier_pb2; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_stubs_of_go_and_java_have_a_package_and_a_class_each():
    from aisle_client.v1 import classifier_pb2

    options = classifier_pb2.DESCRIPTOR.GetOptions()
    assert (options.go_package, options.java_package) == ("aisle/v1;aislev1", "aisle.v1")
    assert options.java_multiple_files


def test_the_descriptors_hold_all_that_a_caller_needs(tmp_path: Path):
    build_image(tmp_path / "aisle.binpb", with_error_details=True)
    files = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "aisle.binpb").read_bytes()).file
    names = {f"{file.package}.{message.name}" for file in files for message in file.message_type}
    assert {"aisle.v1.ClassifyRequest", "google.rpc.Status", "google.rpc.RetryInfo", "google.rpc.BadRequest"} <= names


def test_no_folder_of_ours_hides_a_library(tmp_path: Path):
    """From the repository's root, `import proto` is proto-plus where it is installed, as under every Google library."""
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto/__init__.py").write_text("VERSION = 'proto-plus'")
    command = [sys.executable, "-c", "import proto; print(proto.VERSION)"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "proto-plus\n", done.stderr


def test_generate_runs_only_when_the_contract_is_newer(root: Path):
    generate(root)
    assert generate(root) == []
    newer = (root / STUBS / "classifier_pb2.py").stat().st_mtime + 10
    os.utime(root / CONTRACT, (newer, newer))
    assert generate(root) == [root / CONTRACT]


@pytest.mark.parametrize("stub", ["v1/classifier_pb2.pyi", "google_rpc/copies/error_details_pb2.py"])
def test_a_missing_stub_is_built_again(root: Path, stub: str):
    generate(root)
    (root / "aisle_client" / stub).unlink()
    assert generate(root) == [root / CONTRACT]


def test_a_broken_contract_is_refused_by_name(root: Path, capfd: pytest.CaptureFixture):
    (root / CONTRACT).write_text('syntax = "proto3"; message Broken { string a = 1 }')
    with pytest.raises(RuntimeError, match=r"protoc refused aisle/v1/classifier\.proto"):
        generate(root)
    assert 'Expected ";"' in capfd.readouterr().err


def test_importing_without_stubs_says_what_to_run(root: Path):
    for package in ("aisle_client", "aisle_client/v1"):
        (root / package).mkdir()
        shutil.copy(ROOT / package / "__init__.py", root / package / "__init__.py")
    command = [sys.executable, "-c", "from aisle_client.v1 import classifier_pb2"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert "the gRPC stubs are not built; run python -m contract.generate" in done.stderr


def test_core_numbers_of_the_contract_stay():
    """Clients are written against these names and numbers."""
    from aisle_client.v1 import classifier_pb2

    expected = {
        "Product": [
            "product_id", "product_name", "mall_category", "brand", "maker", "image", "image_features", "description",
        ],
        "ClassifyRequest": [
            "model", "model_version", "products", "top_k", "include_evidence", "include_embedding", "mask_parent",
            "include_words",
        ],
        "ClassifyResponse": ["model", "model_version", "classifications", "timings"],
        "Classification": ["product_id", "prediction", "error"],
        "Prediction": ["categories", "accepted", "needs_review", "accepted_depth", "heads", "embedding", "words"],
        "WordSupport": ["word", "support", "probability_without"],
        "ScoredCategory": ["category", "category_id", "probability"],
        "Timings": ["decode_ms", "queue_ms", "inference_ms", "total_ms"],
    }  # fmt: skip
    messages = classifier_pb2.DESCRIPTOR.message_types_by_name
    found = {name: {field.name: field.number for field in messages[name].fields} for name in expected}
    assert found == {name: {field: i for i, field in enumerate(fields, 1)} for name, fields in expected.items()}
