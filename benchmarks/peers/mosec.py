"""The command line of mosec, which runs `mosec_server`."""

import json
import math
from pathlib import Path

from benchmarks.peers.launch import Launch, PeerModel


def launch(environment: Path, _folder: Path, port: int, model: PeerModel) -> Launch:
    """Return the launch of a server that listens for HTTP on `port`."""
    tuning = model.tuning
    given = {
        **model.parameters(),
        "instances": tuning.instances,
        "max_batch_size": tuning.max_batch_size,
        "max_delay_ms": max(math.ceil(tuning.max_delay_ms), 1),  # mosec replaces 0 by its default of 10
    }
    command = (str(environment / "bin" / "python"), "-m", "benchmarks.peers.mosec_server")
    flags = ("--address", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    return Launch((*command, *flags), {"AISLE_PEER": json.dumps(given)})
