"""The open calls test: a short run, and its checks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.resilience.held_open import Options, Phase, checks

WANTED = {"watch": 1, "stream": 1, "arriving": 1}
FAST, SLOW = Phase([1.0], [1.0]), Phase([2.1], [1.0])


def test_a_short_run(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--json", str(out)]
    few = ["--num-watches", "105", "--num-streams", "105", "--num-half-sent", "105", "--phase-s", "1", "--limit", "8"]
    any_time = ["--max-p99-factor", "1000"]  # the times depend on the machine
    command = [sys.executable, "-m", "benchmarks.resilience.held_open", *paths, *few, *any_time]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert len(report["checks"]) == 4
    assert report["open_calls"] == dict.fromkeys(WANTED, 105)


@pytest.mark.parametrize(
    ("meanwhile", "found", "expected"),
    [
        (FAST, WANTED, [True, True, True, True]),
        (FAST, {**WANTED, "watch": 0}, [False, True, True, True]),
        (Phase([1.0], [1.0], ["UNAVAILABLE: no"]), WANTED, [True, False, True, True]),
        (Phase(), WANTED, [True, False, False, False]),
        (SLOW, WANTED, [True, True, False, True]),
    ],
    ids=["passed", "not held", "failed", "no answer", "slow"],
)
def test_checks(meanwhile: Phase, found: dict[str, int], expected: list[bool]) -> None:
    result = checks(Options(Path("bundle"), Path("catalog")), WANTED, FAST, meanwhile, found)
    assert [check.is_passed for check in result] == expected
    assert all(failure in result[1].found for failure in meanwhile.failed)
