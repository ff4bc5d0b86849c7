"""Runs a command of `python -m training` in a process of its own and measures its time and memory."""

import subprocess
import sys
import time
from pathlib import Path


def run_training(command: str, *arguments: str | Path) -> tuple[float, float]:
    """Run one command.

    Returns:
        Its time, seconds, and the peak memory of its largest process, MiB.
    Raises:
        SystemExit: the command failed; with the end of its output.
    """
    call = [sys.executable, "-m", "training", command, *map(str, arguments)]
    timed = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(done.returncode)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", timed, *call], stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(call)} failed:\n{done.stderr[-3000:]}")
    return seconds, int(done.stderr.strip().rsplit("\n", 1)[-1]) / 1024
