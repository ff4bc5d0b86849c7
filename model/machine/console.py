"""The console that commands print on."""

import sys

from rich.console import Console

#: Columns where the output is no terminal: more than any table has, so that none is cut and no line is wrapped.
_WIDTH = 1000


def wide_console() -> Console:
    """A console as wide as the terminal, or as tables need in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)
