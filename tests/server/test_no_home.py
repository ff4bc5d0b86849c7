"""A user without HOME and without a passwd entry, as a container has that runs as a user of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Stands in for the missing entry; the real one needs root to become another user.
NO_ENTRY = """
import os, pwd, runpy, signal, sys

def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = getpwuid
"""
SERVE = """
import logging

class Stop(logging.Handler):
    def emit(self, record):
        if "listening on" in record.getMessage():
            os.kill(os.getpid(), signal.SIGTERM)

logging.getLogger("aisle.server").addHandler(Stop())
runpy.run_module("server", run_name="__main__")
"""
_HOME_VARIABLES = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "AISLE_CACHE", "USERPROFILE")


def run_without_home(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in _HOME_VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", NO_ENTRY + script, *arguments],
        capture_output=True, text=True, check=False, timeout=120, env={**environment, **variables},
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_a_server_serves_and_stops(toy_bundle: Path, engine: str):
    flags = ["--bundle", str(toy_bundle), "--host", "127.0.0.1", "--port", "0", "--drain-delay-s", "0"]
    done = run_without_home(SERVE, *flags, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert "stopped" in done.stderr


@pytest.mark.parametrize("analyzer", ["mecab", "mecab-direct", "script"])
def test_an_analyzer_starts(analyzer: str):
    script = "from tokenizer.analyzer import open_analyzer; print(open_analyzer(sys.argv[1])('red shirt'))"
    done = run_without_home(script, analyzer)
    assert done.stdout == "['red', 'shirt']\n", done.stderr


def test_the_cache_is_where_the_user_is_unless_it_is_named(tmp_path: Path):
    script = "from catalog.cache_dir import default_cache_dir; os.chdir(sys.argv[1]); print(default_cache_dir())"
    assert run_without_home(script, str(tmp_path)).stdout == f"{tmp_path}/.cache/aisle\n"
    assert run_without_home(script, str(tmp_path), AISLE_CACHE="/kept").stdout == "/kept\n"
