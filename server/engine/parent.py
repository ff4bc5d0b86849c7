"""Ends an engine process with the server, even while it hangs and does not see the end of its connection."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it has ended; on Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
