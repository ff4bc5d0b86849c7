"""The console that the commands print on."""

import sys

from rich.console import Console

#: Columns where the output is no terminal, so that tables in a file are whole.
_WIDTH = 160


def wide_console() -> Console:
    """A console as wide as the terminal, or as tables need in a file."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)
