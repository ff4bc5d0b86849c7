"""The command `python -m demo`: from products to answers; `galleries`, `image-types`, `offers` draw other sets."""

import signal
import sys
from collections.abc import Callable
from typing import Any

import tyro
from rich.console import Console

from aisle_client.errors import ClientError
from demo.galleries.commands import GalleriesCommand, ImageTypesCommand, run_galleries, run_image_types
from demo.offers.command import OffersCommand, run_offers
from demo.steps import DemoSettings, run_demo
from model.errors import AisleError
from model.machine.console import wide_console
from model.machine.text_encoding import use_unicode

_COMMANDS: dict[str, tuple[type, Callable[[Any, Console], None]]] = {
    "galleries": (GalleriesCommand, run_galleries),
    "image-types": (ImageTypesCommand, run_image_types),
    "offers": (OffersCommand, run_offers),
}


def main() -> int:
    """Run the demo or one of its commands; return the exit code: 0 for success, 1 for an error, 130 if interrupted."""
    name = sys.argv[1] if sys.argv[1:] and sys.argv[1] in _COMMANDS else ""
    form, run = _COMMANDS.get(name, (DemoSettings, run_demo))
    console = wide_console()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)  # unwinds the stack, so that no server keeps running
    try:
        chosen: Any = tyro.cli(form, prog=f"python -m demo {name}".rstrip(), args=sys.argv[2 if name else 1 :])
    except AisleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        run(chosen, console)
    except (AisleError, ClientError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is finished is in", chosen.out if name else chosen.dir, file=sys.stderr)
        return 130
    return 0


def _exit_on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    use_unicode()
    sys.exit(main())
