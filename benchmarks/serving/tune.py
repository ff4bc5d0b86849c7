"""Throughput and latency of a peer with several settings; the best ones are stored in `benchmarks.peers.tuning`.

    python -m benchmarks.serving.tune --bundle DIR --catalog FILE --peer mosec

All combinations of the given settings are tried, with the catalog of `benchmarks.serving.comparison`.
"""

import tempfile
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import tyro
from rich.table import Table

from benchmarks.peers.tuning import TUNED
from benchmarks.serving import load
from benchmarks.serving.comparison import write_catalog
from benchmarks.serving.competitors import ServedBundle, ServerName, protocol_of, running_server
from model.machine.console import wide_console


@dataclass(frozen=True)
class Options:
    """Settings to try, in all combinations."""

    bundle: Path
    """Bundle that the peer runs; with ONNX programs for triton-onnx."""
    catalog: Path
    """Catalog whose products are sent."""
    peer: ServerName
    """Peer to tune."""
    max_batch_size: tuple[int, ...] = ()
    """Values of `benchmarks.peers.tuning.Tuning`; empty takes the tuned one."""
    max_delay_ms: tuple[float, ...] = ()
    """Likewise."""
    instances: tuple[int, ...] = ()
    """Likewise."""
    engine_threads: tuple[int, ...] = ()
    """Likewise."""
    decoders: tuple[int, ...] = ()
    """Likewise."""
    picture_px: int = 224
    """Sides of the JPEGs sent."""
    concurrency: int = 32
    """Callers at the same time."""
    duration_s: float = 3.0
    """Length of one measurement, seconds."""


def main() -> None:
    """Try all combinations and print a table."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving.tune", description=__doc__)
    tuned = TUNED[options.peer]
    knobs = {name: getattr(options, name) or (value,) for name, value in asdict(tuned).items()}
    shown = Table(*knobs, "products/s", "p99 ms", title=f"{options.peer}, {options.picture_px} px")
    with tempfile.TemporaryDirectory() as scratch:
        catalog = write_catalog(options.catalog, Path(scratch) / "catalog", options.picture_px, limit=300)
        for values in product(*knobs.values()):
            tuning = replace(tuned, **dict(zip(knobs, values, strict=True)))
            with running_server(options.peer, ServedBundle(options.bundle), tuning) as port:
                summary = load.run(
                    load.Options(
                        protocol_of(options.peer), port, catalog, concurrency=options.concurrency, warmup_s=1.0,
                        duration_s=options.duration_s,
                    )
                )  # fmt: skip
            figures = (f"{summary.achieved_products_per_s:.0f}", f"{summary.phases_ms['total']['p99']:.0f}")
            shown.add_row(*map(str, values), *figures)
    wide_console().print(shown)


if __name__ == "__main__":
    main()
