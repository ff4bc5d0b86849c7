"""Chaos: every trial once, shortly, and what it says when a promise is broken."""

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

TRIALS = [
    "cancellation storm",
    "slow clients",
    "half closed connections",
    "stop and continue",
    "kill",
    "engine raises",
    "engine hangs",
    "reload under load",
    "full disk",
]


def test_every_trial_shortly(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--json", str(out)]
    short = ["--num-callers", "2", "--num-strangers", "4", "--trouble-s", "0.5", "--engine-timeout-s", "0.5"]
    patient = ["--limit", "8", "--max-recovery-s", "60"]  # how quick it is depends on the machine
    command = [sys.executable, "-m", "benchmarks.resilience.chaos", *paths, *short, *patient]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [promise["what"] for promise in report["promises"]] == TRIALS
    assert all(promise["is_kept"] for promise in report["promises"])
    assert list(report["recoveries_s"]) == TRIALS


@pytest.mark.parametrize(
    ("result", "is_kept"),
    [
        (Result("kill", 5, [], [], 4.9, ""), True),
        (Result("kill", 0, [], [], 4.9, ""), False),
        (Result("kill", 5, ["another category"], [], 1.0, ""), False),
        (Result("kill", 5, [], ["no answer"], 1.0, ""), False),
        (Result("kill", 5, [], [], 5.0, ""), False),
    ],
    ids=["kept", "nobody was answered", "wrong", "lost", "slow"],
)
def test_promises(result: Result, is_kept: bool) -> None:
    promise = result.promise(max_recovery_s=5.0)
    assert promise.is_kept is is_kept
    assert all(text in promise.found for text in (*result.wrong, *result.lost))


def test_a_changed_version_is_sound_and_a_copy_cut_off_is_not(toy_bundle: Path, tmp_path: Path) -> None:
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


def test_a_connection_closed_halfway_is_still_read_from() -> None:
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
