"""The exit of a worker's process; in a file of its own, so that the parent process need not load a network."""

import os
import sys
import threading

#: Exit code of a worker that asks to be restarted, because memory may be fragmented after it ran out.
RESTART = 75


def end_with_parent() -> None:
    """End this process as soon as its standard input is closed, which its parent holds open."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
