"""Processes that work for another one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from model.machine.worker_process import serve_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), serve_parent) as pool:
        print(*{pool.submit(os.getpid).result()}, flush=True)
        pool.submit(time.sleep, 600).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system ends no process with its parent")
def test_the_processes_of_a_pool_end_with_the_one_that_was_killed(tmp_path: Path):
    script = tmp_path / "pool.py"
    script.write_text(_POOL, encoding="ascii")
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        os.kill(worker, 0)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    for _ in range(1000):
        if not Path(f"/proc/{worker}").exists() or "\nState:\tZ" in Path(f"/proc/{worker}/status").read_text():
            return
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker outlived its parent")
