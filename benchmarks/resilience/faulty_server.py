"""The server with engine processes that fail on a signal: SIGUSR1 makes them raise, SIGUSR2 makes them hang.

Only the engines in use fail; those that the server starts in their place work.
"""

import signal
import tempfile
from pathlib import Path
from typing import Literal

_FAULTS: dict[signal.Signals, Literal["raises", "hangs"]] = {signal.SIGUSR1: "raises", signal.SIGUSR2: "hangs"}
_SIGNALS = {*_FAULTS, signal.SIGTERM}

if __name__ == "__main__":  # before the imports: a signal ends the process if one of their threads takes it
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

import tyro  # noqa: E402

from benchmarks.resilience.faulty_engine import DEADLY_PICTURE, engine_command, make_deadly  # noqa: E402
from server.app import AisleServer  # noqa: E402
from server.settings import ServerSettings  # noqa: E402
from server.telemetry.logs import configure_logging  # noqa: E402


def main() -> None:
    """Serve until SIGTERM."""
    settings = tyro.cli(ServerSettings, prog="python -m benchmarks.resilience.faulty_server")
    configure_logging(settings.log_format)
    with tempfile.TemporaryDirectory() as folder:
        make_deadly(Path(folder), DEADLY_PICTURE)
        server = AisleServer(settings, engine_command(Path(folder)))
        server.start()
        while (number := signal.Signals(signal.sigwait(_SIGNALS))) in _FAULTS:
            (Path(folder) / "fault").write_text(_FAULTS[number])
        server.stop(settings.grace_s, settings.drain_delay_s)


if __name__ == "__main__":
    main()
