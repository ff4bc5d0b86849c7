"""A command of `python -m training` as a process of its own, timed from outside."""

import subprocess
import sys
import time
from pathlib import Path


def run_training(command: str, *arguments: str | Path) -> tuple[float, float]:
    """Run one command to its end.

    Returns:
        seconds, and peak MiB of its largest process.
    Raises:
        SystemExit: the command failed; with the end of what it said.
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
