"""The server with engine processes that fail on a signal: SIGUSR1 makes them raise, SIGUSR2 makes them hang.

Only the engines in use fail; those that the server starts in their place work.
"""

import signal
import tempfile
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.resilience.faulty_engine import engine_command
from server.app import AisleServer
from server.settings import ServerSettings
from server.telemetry.logs import configure_logging

_FAULTS: dict[signal.Signals, Literal["raises", "hangs"]] = {signal.SIGUSR1: "raises", signal.SIGUSR2: "hangs"}
_SIGNALS = {*_FAULTS, signal.SIGTERM}


def main() -> None:
    """Serve until SIGTERM."""
    # Blocked before any thread starts, so that all of them are received by sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    settings = tyro.cli(ServerSettings, prog="python -m benchmarks.resilience.faulty_server")
    configure_logging(settings.log_format)
    with tempfile.TemporaryDirectory() as folder:
        server = AisleServer(settings, engine_command(Path(folder)))
        server.start()
        while (number := signal.Signals(signal.sigwait(_SIGNALS))) in _FAULTS:
            (Path(folder) / "fault").write_text(_FAULTS[number])
        server.stop(settings.grace_s, settings.drain_delay_s)


if __name__ == "__main__":
    main()
