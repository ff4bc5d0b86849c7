"""`python -m demo`: from products to answers in one command."""

import signal
import sys

import tyro
from rich.console import Console

from demo.walk import DemoSettings, walk
from model.errors import AisleError

_WIDE = 150


def main() -> int:
    """Take the walk; returns the exit code: 0 done, 1 stopped with a sentence, 130 interrupted."""
    settings = tyro.cli(DemoSettings, prog="python -m demo")
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # unwinds, so that no server stays behind
    try:
        walk(settings, console)
    except (AisleError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was finished is in", settings.dir, file=sys.stderr)
        return 130
    return 0


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
