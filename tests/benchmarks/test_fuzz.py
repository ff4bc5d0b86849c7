"""The fuzz test: a short run, its cases, and its checks of a failing server."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2

from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.expected_answers import read_products
from benchmarks.resilience.fuzz import Options, save_cases
from benchmarks.resilience.fuzzing.mutations import Mutator
from benchmarks.resilience.fuzzing.parse_process import ParseProcess, growth_mib, outcome
from benchmarks.resilience.fuzzing.served_cases import status_fault
from model.bundle.bundle import load_bundle
from model.product import Product
from server.settings import ServerSettings


def test_a_short_fuzz(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out, failures = tmp_path / "out.json", tmp_path / "failures"
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1])]
    files = ["--json", str(out), "--failures", str(failures)]
    # After so few cases the server is still warming up, so its memory grows.
    short = ["--num-cases", "1500", "--num-served", "400", "--max-growth-mib", "400", "--seed", "7"]
    command = [sys.executable, "-m", "benchmarks.resilience.fuzz", *paths, *files, *short]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert all(check["is_passed"] for check in report["checks"])
    assert report["seed"] == 7
    assert sum(report["outcomes"].values()) == 1500
    assert set(report["outcomes"]) == {"malformed", "invalid requests", "with an invalid product", "valid"}
    for method in ("Classify", "ClassifyStream", "GetModel"):
        assert set(report["codes"][method]) == {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
        assert sum(report["codes"][method].values()) == 400
    assert not failures.exists()


def test_a_case_is_reproduced_from_its_seed_and_number(toy_catalogs: tuple[Path, Path]) -> None:
    products = read_products(toy_catalogs[1], 4)
    cases = [Mutator(products, seed=3).request(number) for number in range(50)]
    again = Mutator(products, seed=3)
    assert [again.request(number) for number in reversed(range(50))] == cases[::-1]
    assert len(set(cases)) > 40
    assert Mutator(products, seed=4).request(0) != cases[0]


def test_a_failed_case_is_written_with_its_bytes(tmp_path: Path) -> None:
    mutator = Mutator([Product("0", "shirt")], seed=3)
    options = Options(tmp_path, tmp_path, seed=3, failures=tmp_path / "failures")
    save_cases(options, "Classify", mutator.request, {7: "INTERNAL"})
    save_cases(options, "GetModel", mutator.model_request, {7: "UNKNOWN"})
    kept = {path.name: path.read_bytes() for path in options.failures.iterdir()}
    assert kept == {
        "seed-3-Classify-7.bin": mutator.request(7),
        "seed-3-Classify-7.txt": b"INTERNAL\n",
        "seed-3-GetModel-7.bin": mutator.model_request(7),
        "seed-3-GetModel-7.txt": b"UNKNOWN\n",
    }


def test_outcomes_of_cases(toy_bundle: Path, toy_catalogs: tuple[Path, Path]) -> None:
    preprocessor, settings = load_bundle(toy_bundle).preprocessor, ServerSettings(bundle=toy_bundle)
    valid = product_message(read_products(toy_catalogs[1], 1)[0])
    broken = pb.Product(image=b"no picture")
    contents = [
        b"\xff",
        b"",
        pb.ClassifyRequest(products=[valid, broken]).SerializeToString(),
        pb.ClassifyRequest(products=[valid]).SerializeToString(),
    ]
    found = [outcome(content, preprocessor, settings) for content in contents]
    assert found == ["malformed", "invalid requests", "with an invalid product", "valid"]


def test_a_process_that_dies_is_the_fault_of_its_case(tmp_path: Path) -> None:
    process = ParseProcess(tmp_path / "no bundle", [Product("0", "shirt")], seed=0)
    assert list(process.run(1))[-1] == 1
    assert process.faults == {0: "the process died with 1"}


def test_valid_statuses() -> None:
    assert status_fault(grpc.StatusCode.INTERNAL, "the server failed", b"") == "INTERNAL: the server failed"
    assert status_fault(grpc.StatusCode.INVALID_ARGUMENT, "no product", b"") == ""
    response = pb.ClassifyResponse()
    error = response.classifications.add().error
    error.code = code_pb2.INVALID_ARGUMENT
    assert status_fault(grpc.StatusCode.OK, "", response.SerializeToString()) == ""
    error.code, error.message = code_pb2.INTERNAL, "the server failed"
    found = status_fault(grpc.StatusCode.OK, "", response.SerializeToString())
    assert found == "a product ended with INTERNAL: the server failed"


def test_growth_excludes_the_warm_up() -> None:
    assert growth_mib([10.0, 50.0, 60.0, 60.0, 61.0, 61.0, 62.0, 62.0, 63.0, 63.0]) == pytest.approx(3.0)
    assert not growth_mib([1.0] * 4) <= 32.0
