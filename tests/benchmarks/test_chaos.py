"""The chaos test: a short run of all faults, and its checks."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.resilience.chaos import Result
from benchmarks.resilience.proxy import Proxy
from benchmarks.resilience.versions import copy_in_place, size_bytes, write_version
from model.bundle.bundle import load_bundle
from model.errors import BundleError

pytestmark = pytest.mark.long(seconds=50)

FAULTS = [
    "cancellation storm",
    "slow clients",
    "half closed connections",
    "kill engine",
    "stop engine",
    "stop and continue",
    "kill",
    "engine raises",
    "engine hangs",
    "deadly picture",
    "reload under load",
    "full disk",
]


def test_a_short_run_of_all_faults(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--json", str(out)]
    short = ["--num-callers", "2", "--num-bad-clients", "4", "--fault-s", "0.5", "--engine-timeout-s", "0.5"]
    small = ["--limit", "8", "--max-batch-items", "4", "--pause-s", "0.05"]
    slow = ["--max-recovery-s", "60"]  # the recovery time depends on the machine
    command = [sys.executable, "-m", "benchmarks.resilience.chaos", *paths, *short, *small, *slow]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [check["name"] for check in report["checks"]] == FAULTS
    assert all(check["is_passed"] for check in report["checks"])
    assert list(report["recoveries_s"]) == FAULTS


@pytest.mark.parametrize(
    ("result", "is_passed"),
    [
        (Result("kill", 5, [], [], 4.9, ""), True),
        (Result("kill", 0, [], [], 4.9, ""), False),
        (Result("kill", 5, ["another category"], [], 1.0, ""), False),
        (Result("kill", 5, [], ["no answer"], 1.0, ""), False),
        (Result("kill", 5, [], [], 5.0, ""), False),
    ],
    ids=["passed", "no answer", "wrong", "lost", "slow"],
)
def test_checks(result: Result, is_passed: bool) -> None:
    check = result.check(max_recovery_s=5.0)
    assert check.is_passed is is_passed
    assert all(text in check.found for text in (*result.wrong, *result.lost))


def test_a_changed_version_is_valid_and_a_truncated_copy_is_not(toy_bundle: Path, tmp_path: Path) -> None:
    changed = write_version(toy_bundle, tmp_path / "changed", temperature_factor=2.0)
    assert (
        load_bundle(changed).calibration.formula.temperature
        == 2 * load_bundle(toy_bundle).calibration.formula.temperature
    )
    copy_in_place(changed, tmp_path / "half", max_bytes=size_bytes(changed) // 2)
    assert size_bytes(tmp_path / "half") == size_bytes(changed) // 2
    with pytest.raises(BundleError):
        load_bundle(tmp_path / "half")
    copy_in_place(changed, tmp_path / "half")
    assert load_bundle(tmp_path / "half").calibration == load_bundle(changed).calibration


def test_a_half_closed_connection_can_still_be_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Proxy(port, close_after_bytes=3) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"abc")
                assert server.recv(10) == b"abc"
                assert server.recv(10) == b""  # the client sends no more
                server.sendall(b"answer")
                assert client.recv(10) == b"answer"
        assert proxy.num_closed == 1
