"""The command `python -m server`, which serves bundles until SIGTERM or Ctrl-C."""

import signal
import sys
import threading

from model.machine.text_encoding import use_unicode

_POLL_S = 0.5

_stop_requested = threading.Event()


def _request_stop(number: int, _frame: object) -> None:
    """Ask for a drain; a second signal ends the process immediately."""
    signal.signal(number, signal.SIG_DFL)
    _stop_requested.set()


if __name__ == "__main__":  # before the imports, which take seconds: as process 1 nothing else would end it meanwhile
    use_unicode()
    signal.signal(signal.SIGTERM, _request_stop)
    signal.signal(signal.SIGINT, _request_stop)

import gc  # noqa: E402

import tyro  # noqa: E402

from model.command_arguments import expand_home  # noqa: E402
from model.errors import AisleError  # noqa: E402
from model.machine.memory import return_freed_memory  # noqa: E402
from server.app import AisleServer  # noqa: E402
from server.settings import ServerSettings  # noqa: E402
from server.telemetry.logs import configure_logging  # noqa: E402


def main() -> None:
    """Parse the flags, serve, and drain on a signal."""
    settings = tyro.cli(ServerSettings, prog="python -m server", args=expand_home(sys.argv[1:]))
    configure_logging(settings.log_format)
    return_freed_memory()
    if _stop_requested.is_set():
        return
    server = AisleServer(settings)
    server.start()
    _tune_garbage_collection()
    while not _stop_requested.wait(_POLL_S):  # a signal that another thread caught does not end a plain wait
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
