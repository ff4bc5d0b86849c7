"""A child process that runs one of the project's programs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from model.errors import AisleError

_LOG_LINES = 15


class DemoError(AisleError):
    """A step of the demo failed."""


class Child:
    """Runs `python -m ...` in a process group of its own, which never outlives the `with` block.

        with Child(["server", "--bundle", "build/demo/models/demo/1"], log=Path("server.log")) as server:
            ...
            server.terminate(timeout_s=30)

    Args:
        arguments: module and flags.
        log: file for its output; None inherits the demo's output.
    """

    def __init__(self, arguments: Sequence[str], log: Path | None = None):
        self.command = " ".join(["python -m", *arguments])
        self._log = log
        output = log.open("wb") if log else None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments], stdout=output, stderr=output, start_new_session=True
            )
        finally:
            if output:
                output.close()

    @property
    def is_running(self) -> bool:
        """True while the process is running."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the process ends by itself.

        Raises:
            DemoError: it ended with an exit code other than 0.
        """
        self._check(self._process.wait())

    def terminate(self, timeout_s: float) -> None:
        """Stop the process with SIGTERM, and wait until it has ended.

        Raises:
            DemoError: it was still running after the timeout, or its exit code was not 0.
        """
        self._process.terminate()
        try:
            self._check(self._process.wait(timeout_s))
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"was still running {timeout_s:g} s after SIGTERM") from error

    def failure(self, problem: str) -> DemoError:
        """Return an error about this process, with the end of its log."""
        return DemoError(f"`{self.command}` {problem}{self._tail()}")

    def _check(self, exit_code: int) -> None:
        if exit_code:
            raise self.failure(f"ended with exit code {exit_code}, expected 0")

    def _tail(self) -> str:
        if self._log is None:
            return "; see its messages above"
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return f"; the end of {self._log}:\n" + "\n".join(lines)

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill the remaining processes of the group, as after Ctrl-C, a failure, or of orphaned workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
