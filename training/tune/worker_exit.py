"""How a worker's process ends; apart from the worker itself, so that who starts it loads no network."""

import os
import sys
import threading

#: Exit code of a worker that wants to be started afresh: memory that ran out may be in pieces.
START_AFRESH = 75


def end_with_parent() -> None:
    """End this process as soon as its standard input does, which the one who started it holds open."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
