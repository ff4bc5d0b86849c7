"""Whole searches with real trainings, in processes that are killed."""

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.bundle.bundle import load_bundle
from model.settings import Settings, load_settings, settings_to_toml
from tests.conftest import TOY_SETTINGS, toy_rows, write_catalog
from tests.training.tune.faulty_proxy import FaultyProxy
from training.commands.command_line import main
from training.encoding.file_lock import exclusive_or_holder
from training.tune.scheduling.trial import SearchTrial

pytestmark = pytest.mark.long(seconds=120)

SPACE = """
[model]
fields = ["brand"]
fcl_dim = { choice = [4, 8, 16] }
[training]
epochs = 2
batch_size = 48
learning_rate = { log = [1e-3, 1e-1] }
"""
#: Seconds in which even a slow machine finishes a toy search.
PATIENCE_S = 240


@pytest.fixture
def arguments(tmp_path: Path, toy_cache: Path) -> list[str]:
    """Arguments of a search over brands, the quickest network to build, in tmp_path/search."""
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    (tmp_path / "base.toml").write_text(settings_to_toml(TOY_SETTINGS), encoding="utf-8")
    unlabelled = {"product_id": "bad", "product_name": "x"}
    write_catalog(tmp_path / "train.csv", [*texts(tmp_path, "t", 60), unlabelled])
    write_catalog(tmp_path / "val.csv", texts(tmp_path, "v", 30))
    flags = {"train": "train.csv", "val": "val.csv", "config": "base.toml", "space": "space.toml", "search": "search"}
    paths = [text for name, file in flags.items() for text in (f"--{name}", str(tmp_path / file))]
    return ["tune", *paths, "--cache-dir", str(toy_cache), "--tuner", "random"]


def texts(folder: Path, prefix: str, count: int) -> list[dict[str, str]]:
    return [{name: text for name, text in row.items() if name != "image"} for row in toy_rows(folder, prefix, count)]


def recorded(folder: Path) -> list[SearchTrial]:
    """Read the recorded trials while the search runs."""
    path = folder / "search.sqlite"
    if not path.exists():
        return []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
        try:
            rows = connection.execute("SELECT body FROM trials ORDER BY number").fetchall()
        except sqlite3.OperationalError:  # before the tables are created
            return []
    connection.close()
    return [SearchTrial.from_dict(json.loads(body)) for (body,) in rows]


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "training", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.05)


def assert_kept(before: list[SearchTrial], after: list[SearchTrial]) -> None:
    """Check that ended trials have not changed."""
    now = {trial.trial_id: trial for trial in after}
    for trial in before:
        assert trial.trial_id in now
        if trial.has_ended:
            assert now[trial.trial_id] == trial


def assert_accounted(trials: list[SearchTrial], count: int, has_history: bool = True) -> None:
    assert len(trials) == count
    for trial in trials:
        outcomes = [attempt.outcome for attempt in trial.attempts]
        if trial.status == "failed":
            assert trial.losses == 3  # its worker was killed three times
            continue
        assert trial.status == "completed"
        assert outcomes.count("completed") == 1
        assert outcomes[-1] == "completed"
        assert set(outcomes[:-1]) <= {"lost", "interrupted", "returned"}
        assert trial.score == trial.figures["joint_accuracy"]
        if has_history:
            assert [row["epoch"] for row in trial.history] == [1, 2]


def test_from_catalogs_to_the_best_bundle(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search, bundle = tmp_path / "search", tmp_path / "bundle"
    assert main([*arguments, "--trials", "3", "--bundle", str(bundle)]) == 0
    output = capsys.readouterr().out
    assert "best 3:" in output
    assert "3 trials in" in output
    assert f"wrote {search / 'best.toml'} for train --config, {search / 'report.html'}" in output
    trials = recorded(search)
    assert_accounted(trials, 3)
    best = max(trials, key=lambda trial: trial.score or 0.0)
    assert load_settings(search / "best.toml") == _settings(best)
    assert [row["val_joint_accuracy"] for row in load_bundle(bundle).history] == [
        row["joint_accuracy"] for row in best.history
    ]  # train repeats the trial
    with (search / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert [float(row["score_joint_accuracy"]) for row in rows] == [trial.score for trial in trials]
    assert {"latency_ms", "num_parameters", "macro_f1", "coverage@0.98", "seconds"} <= trials[0].figures.keys()
    log = (search / "logs" / "worker-0.log").read_text(encoding="utf-8")
    assert log.count("encoded by an earlier run") >= 4  # both catalogs, for all trials but the first
    # The same command has nothing left to do; with more trials it continues.
    assert main([*arguments, "--trials", "3"]) == 0
    assert recorded(search) == trials
    with exclusive_or_holder(search / "lock") as holder:
        assert holder is None
        assert main([*arguments, "--trials", "4"]) == 1
    assert f"{search} is in use by another search (process {os.getpid()}); wait for it" in capsys.readouterr().err
    assert main([*arguments, "--trials", "4", "--fcl-activation", "tanh"]) == 1
    errors = capsys.readouterr().err
    assert "holds a search that differs in space.base.model.fcl_activation; give the same ones" in errors


def test_a_trial_out_of_memory_counts_as_failed_and_the_search_goes_on(arguments: list[str], tmp_path: Path) -> None:
    """The trial asks for more than the address space, so that it fails on every machine."""
    space = SPACE.replace("[4, 8, 16]", "[1_000_000_000_000_000, 4]").replace("{ log = [1e-3, 1e-1] }", "0.01")
    (tmp_path / "space.toml").write_text(space, encoding="utf-8")
    assert main([*arguments[:-1], "grid"]) == 0
    first, second = recorded(tmp_path / "search")
    assert (first.status, len(first.attempts), second.status) == ("failed", 1, "completed")
    assert "OOM when allocating tensor" in first.error
    assert first.values["fcl_dim"] == 10**15
    assert first.attempts[0].worker != second.attempts[0].worker  # in a restarted worker
    assert "OOM when allocating tensor" in (tmp_path / "search" / "report.html").read_text(encoding="utf-8")


def test_failures_in_a_row_stop_the_search_with_their_error(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = (
        SPACE.replace("{ log = [1e-3, 1e-1] }", "0.01")
        + "[tokenizer]\nhash_buckets = { int = [1024, 2048], step = 512 }\n"
    )
    (tmp_path / "space.toml").write_text(space.replace("[4, 8, 16]", "[4]"), encoding="utf-8")
    assert main([*arguments[:-1], "grid", "--max-failures", "1"]) == 1
    trials = recorded(tmp_path / "search")
    assert [trial.status for trial in trials] == [
        "failed" if t.values["hash_buckets"] == 1536 else "completed" for t in trials
    ]
    assert trials[-1].status == "failed"
    errors = capsys.readouterr().err
    assert "error: 1 failed in a row, the last trial with:\nTraceback" in errors
    assert "hash_buckets: expected a power of two, found 1536" in errors
    assert f"the trials so far are in {tmp_path / 'search'}/report.html" in errors


def test_kills_at_random_moments_lose_no_result(
    arguments: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Search and worker get a SIGKILL in turn; the same command resumes each time."""
    search, log, drawn = tmp_path / "search", tmp_path / "log", random.Random(0)
    kills_left, before = int(request.config.getoption("--kills")), []
    command = [*arguments, "--trials", "6"]
    while True:
        with process(command, log) as running:
            while running.poll() is None and kills_left:
                moment = time.monotonic() + drawn.uniform(0.5, 9.0)
                wait_until(lambda moment=moment: running.poll() is not None or time.monotonic() > moment, "a moment")
                workers = children(running.pid)
                if running.poll() is not None:
                    break
                kills_left -= 1
                if kills_left % 2 and workers:
                    os.kill(drawn.choice(workers), signal.SIGKILL)
                    continue
                running.kill()
                running.wait()
                wait_until(lambda workers=workers: not any(map(is_alive, workers)), "the workers of a dead search")
                after = recorded(search)
                assert_kept(before, after)
                before = after
                break
            else:
                wait_until(lambda: running.poll() is not None, "the end of the search")
            if running.returncode == 0:
                if not kills_left:
                    break
                command[-1] = str(int(command[-1]) + 2)  # it ended before the kill
            else:
                assert running.returncode == -signal.SIGKILL, log.read_text(encoding="utf-8")[-3000:]
    trials = recorded(search)
    assert_kept(before, trials)
    assert_accounted(trials, int(command[-1]))


def test_chief_and_worker_on_two_machines(arguments: list[str], tmp_path: Path) -> None:
    """Run as documented, through a proxy that is cut; the chief is killed, and so is the first worker."""
    search, drawn = tmp_path / "search", random.Random(1)
    proxy = FaultyProxy(0)
    paths = arguments[arguments.index("--train") : arguments.index("--config")]
    worker = ["tune-worker", *paths, "--chief", proxy.address, "--work-dir", str(tmp_path / "elsewhere")]
    worker += [*arguments[arguments.index("--cache-dir") :][:2], "--heartbeat-s", "0.3"]
    port = _free_port()
    proxy.port = port
    chief = [*arguments, "--trials", "4", "--workers", "0", "--listen", f"127.0.0.1:{port}", "--lease-s", "3"]
    with process(worker, tmp_path / "worker.log"):
        with process(chief, tmp_path / "chief.log"), process(worker, tmp_path / "killed.log") as second:
            wait_until(lambda: any(t.status == "running" for t in recorded(search)), "a first trial")
            second.kill()
            proxy.cut()
            time.sleep(drawn.uniform(0.1, 2.0))
            proxy.restore()
            wait_until(lambda: any(t.has_ended for t in recorded(search)), "a finished trial")
        before = recorded(search)  # the chief was killed with this block's end
        with process(chief, tmp_path / "chief.log") as running:
            wait_until(lambda: running.poll() is not None, "the end of the search")
            assert running.returncode == 0, (tmp_path / "chief.log").read_text(encoding="utf-8")[-3000:]
    proxy.close()
    trials = recorded(search)
    assert_kept(before, trials)
    # On a slow machine a trial may go to the other worker before the first one's result arrives.
    assert_accounted(trials, 4, has_history=False)
    assert (search / "report.html").exists()


def test_a_worker_with_other_files_is_an_error(arguments: list[str], tmp_path: Path, capsys) -> None:
    port = _free_port()
    chief = [*arguments, "--trials", "1", "--workers", "0", "--listen", f"127.0.0.1:{port}"]
    with process(chief, tmp_path / "chief.log"):
        paths = ["--train", str(tmp_path / "val.csv"), "--val", str(tmp_path / "val.csv")]
        assert main(["tune-worker", "--chief", f"127.0.0.1:{port}", *paths, "--work-dir", str(tmp_path / "w")]) == 1
    assert "--train: expected the chief's file, found" in capsys.readouterr().err


def _settings(trial: SearchTrial) -> Settings:
    from model.settings import settings_from_dict

    return settings_from_dict(trial.settings, "trial")


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
