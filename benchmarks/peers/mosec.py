"""mosec's command line; `mosec_server` is what it runs."""

import json
import math
from pathlib import Path

from benchmarks.peers.launch import Launch, PeerModel


def launch(environment: Path, _folder: Path, port: int, model: PeerModel) -> Launch:
    """The server listens for HTTP at `port`."""
    tuning = model.tuning
    given = {
        **model.parameters(),
        "instances": tuning.instances,
        "max_batch_size": tuning.max_batch_size,
        "max_delay_ms": max(math.ceil(tuning.max_delay_ms), 1),  # mosec takes 0 for its default of 10
    }
    command = (str(environment / "bin" / "python"), "-m", "benchmarks.peers.mosec_server")
    flags = ("--address", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    return Launch((*command, *flags), {"AISLE_PEER": json.dumps(given)})
