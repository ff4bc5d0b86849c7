"""The model repository, backends and command line of Triton, without pytriton's proxy."""

import shutil
from pathlib import Path

from benchmarks.peers.launch import Launch, PeerModel, free_port, site_packages
from model.product import TEXT_COLUMNS

_CONFIG = """name: "aisle"
default_model_filename: "triton_model.py"
backend: "python"
max_batch_size: {max_batch_size}
input [
  {{ name: "texts" data_type: TYPE_STRING dims: [ {num_texts} ] }},
  {{ name: "image" data_type: TYPE_STRING dims: [ 1 ] }}
]
output [
  {{ name: "categories" data_type: TYPE_STRING dims: [ -1 ] }},
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ -1 ] }}
]
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
dynamic_batching {{ max_queue_delay_microseconds: {max_delay_us} }}
"""


def config(model: PeerModel) -> str:
    """Return the content of config.pbtxt."""
    tuning = model.tuning
    text = _CONFIG.format(
        max_batch_size=tuning.max_batch_size,
        num_texts=len(TEXT_COLUMNS),
        instances=tuning.instances,
        max_delay_us=round(tuning.max_delay_ms * 1000),
    )
    return text + "".join(
        f'parameters {{ key: "{name}" value: {{ string_value: "{value}" }} }}\n'
        for name, value in model.parameters().items()
    )


def launch(environment: Path, folder: Path, port: int, model: PeerModel) -> Launch:
    """Write repository and backends to `folder`; the server listens for gRPC on `port`."""
    repository, backend = folder / "repository", folder / "backends" / "python"
    (repository / "aisle" / "1").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_model.py"), repository / "aisle" / "1")
    (repository / "aisle" / "config.pbtxt").write_text(config(model), encoding="utf-8")
    packages = site_packages(environment)
    server = packages / "pytriton" / "tritonserver"
    shutil.copytree(server / "backends" / "python", backend)
    shutil.copy(server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub", backend)
    command = [
        server / "bin" / "tritonserver",
        f"--model-repository={repository}",
        f"--backend-directory={folder / 'backends'}",
        f"--grpc-port={port}",
        f"--http-port={free_port()}",
        f"--metrics-port={free_port()}",
        *(f"--{service}-address=127.0.0.1" for service in ("grpc", "http", "metrics")),
    ]
    return Launch(tuple(map(str, command)), {"LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")})
