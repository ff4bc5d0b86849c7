"""Processes that work for another one: they end with it, even killed or hung, and leave Ctrl-C to it."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it has ended; on Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve_parent() -> None:
    """Prepare a process of a pool: Ctrl-C reaches it, too, and is the main process' to report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
