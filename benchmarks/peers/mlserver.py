"""The settings files and command line of MLServer, which runs `mlserver_runtime`."""

import json
from pathlib import Path

from benchmarks.peers.launch import Launch, PeerModel, free_port

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


def launch(environment: Path, folder: Path, port: int, model: PeerModel) -> Launch:
    """Write the settings to `folder`; the server listens for gRPC on `port`."""
    tuning = model.tuning
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "grpc_port": port,
        "http_port": free_port(),
        "metrics_port": free_port(),
        "metrics_dir": str(folder / "metrics"),  # by default a hidden folder in the working directory
        "parallel_workers": tuning.instances,
        "grpc_max_message_length": _MAX_MESSAGE_BYTES,
        "logging_settings": _LOGGING,
    }
    served = {
        "name": "aisle",
        "implementation": "benchmarks.peers.mlserver_runtime.AisleRuntime",
        "max_batch_size": tuning.max_batch_size,
        "max_batch_time": tuning.max_delay_ms / 1000,
        "parameters": {"extra": model.parameters()},
    }
    for name, values in (("settings.json", settings), ("model-settings.json", served)):
        (folder / name).write_text(json.dumps(values, indent=1), encoding="utf-8")
    return Launch((str(environment / "bin" / "mlserver"), "start", str(folder)), {})


#: The default logs a line for every request.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"mlserver": {"level": "WARNING"}, "mlserver.grpc": {"level": "WARNING"}},
}
