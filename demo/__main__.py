"""The command `python -m demo`: from products to answers."""

import signal
import sys

import tyro
from rich.console import Console

from aisle_client.errors import ClientError
from demo.steps import DemoSettings, run_demo
from model.errors import AisleError

_WIDE = 150


def main() -> int:
    """Run the demo and return the exit code: 0 for success, 1 for an error, 130 if interrupted."""
    settings = tyro.cli(DemoSettings, prog="python -m demo")
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)  # unwinds the stack, so that no server keeps running
    try:
        run_demo(settings, console)
    except (AisleError, ClientError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; finished steps are in", settings.dir, file=sys.stderr)
        return 130
    return 0


def _exit_on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
