"""`python -m server`: serve bundles until SIGTERM or Ctrl-C."""

import gc
import signal
import sys
import threading

import tyro

from model.errors import AisleError
from server.app import AisleServer
from server.settings import ServerSettings
from server.telemetry.logs import configure_logging

_POLL_S = 0.5


def main() -> None:
    """Parse the flags, serve, and drain on a signal; a second signal ends the process at once."""
    stop_asked = threading.Event()

    def ask_to_stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop_asked.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    settings = tyro.cli(ServerSettings, prog="python -m server")
    configure_logging(settings.log_format)
    server = AisleServer(settings)
    server.start()
    _spare_the_collector()
    while not stop_asked.wait(_POLL_S):  # a signal that another thread caught does not end a plain wait
        pass
    server.stop(settings.grace_s, settings.drain_delay_s)


def _spare_the_collector() -> None:
    """Look for garbage less often, and not among what was loaded; calls that failed leave some behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


if __name__ == "__main__":
    try:
        main()
    except AisleError as error:
        sys.exit(f"error: {error}")
