"""The command `python -m server`, which serves bundles until SIGTERM or Ctrl-C."""

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
    """Parse the flags, serve, and drain on a signal; a second signal ends the process immediately."""
    stop_requested = threading.Event()

    def request_stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop_requested.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    settings = tyro.cli(ServerSettings, prog="python -m server")
    configure_logging(settings.log_format)
    server = AisleServer(settings)
    server.start()
    _tune_garbage_collection()
    while not stop_requested.wait(_POLL_S):  # a signal that another thread caught does not end a plain wait
        pass
    server.stop(settings.grace_s, settings.drain_delay_s)


def _tune_garbage_collection() -> None:
    """Collect garbage less often, and exclude loaded objects; failed calls leave reference cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


if __name__ == "__main__":
    try:
        main()
    except AisleError as error:
        sys.exit(f"error: {error}")
