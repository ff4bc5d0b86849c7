"""The overload test: a short run, and its checks."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from benchmarks.resilience.expected_answers import ExpectedAnswers, read_products
from benchmarks.resilience.overload import Options, Swap, TimedOutcomes, checks
from model.machine.cores import usable_cores

pytestmark = pytest.mark.long(seconds=30)

SHORT = ["--search-s", "2", "--overload-s", "3", "--swap-s", "14", "--concurrency", "4", "--limit", "12"]


def test_a_short_overload(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--json", str(out)]
    # A short run says nothing about speed.
    loose = ["--overload", "1.5", "--min-goodput", "0", "--max-swap-p99", "1000", "--timeout-s", "20"]
    command = [sys.executable, "-m", "benchmarks.resilience.overload", *paths, *SHORT, *loose]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [check["is_passed"] for check in report["checks"]] == [True] * 5
    assert report["overload_rps"] > 0
    assert report["swap_seconds"] > 0


def test_each_check_can_fail(toy_bundle: Path, toy_catalogs: tuple[Path, Path]) -> None:
    options = Options(toy_bundle, toy_catalogs[1])
    expected = ExpectedAnswers(toy_bundle, read_products(toy_catalogs[1], 1))
    search, overload, arrival = (TimedOutcomes(0.0, 10.0, expected) for _ in range(3))
    empty = b""  # a response without products
    for second in range(10):
        search.add(second, second, second + 0.1, empty)
        arrival.add(second, second, second + (0.1 if second < 5 else 0.2), empty)
    for second in range(5, 13):
        overload.add(second, second, second + 3.0, empty)
    overload.add(5.0, 5.0, 5.1, grpc.StatusCode.RESOURCE_EXHAUSTED)
    overload.add(5.0, 5.0, 5.1, grpc.StatusCode.UNAVAILABLE)
    overload.faults.append("product 7 has no answer")
    overload.caller_cores = usable_cores() / 2
    found = checks(options, search, overload, arrival, Swap(5.0, 6.0))
    assert [check.is_passed for check in found] == [False] * 5
    assert found[0].found.startswith("0.20 (0 answers/s")
    assert found[0].found.endswith("leave the server 0.50 of its processor time, relative to which that is 0.40")
    assert found[1].found == "3000 ms"
    assert found[2].found == "2.00 (200 and 100 ms, 1.0 s)"
    assert found[3].found == "{'UNAVAILABLE': 1}"
    assert found[4].found == "1: product 7 has no answer"
