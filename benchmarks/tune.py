"""Throughput and latency of a peer with each of several settings; the best go into `benchmarks.peers.tuning`.

    python -m benchmarks.tune --bundle DIR --catalog FILE --peer mosec

Settings differ from the tuned ones in one or two knobs. Catalog as `benchmarks.serving` sends it.
"""

import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import load
from benchmarks.contenders import Served, ServerName, protocol_of, running_server
from benchmarks.peers.tuning import TUNED
from benchmarks.serving import write_catalog


@dataclass(frozen=True)
class Options:
    """What to try; every combination is."""

    bundle: Path
    """Bundle that the peer runs; with ONNX programs for triton-onnx."""
    catalog: Path
    """Catalog whose products are sent."""
    peer: ServerName
    """Which peer."""
    max_batch_size: tuple[int, ...] = ()
    """Each as in `benchmarks.peers.tuning.Tuning`; none tries the tuned one."""
    max_delay_ms: tuple[float, ...] = ()
    """As above."""
    instances: tuple[int, ...] = ()
    """As above."""
    engine_threads: tuple[int, ...] = ()
    """As above."""
    decoders: tuple[int, ...] = ()
    """As above."""
    picture_px: int = 224
    """Sides of the JPEGs sent."""
    concurrency: int = 32
    """Callers at the same time."""
    duration_s: float = 3.0
    """Length of one measurement, seconds."""


def main() -> None:
    """Try and print."""
    options = tyro.cli(Options, prog="python -m benchmarks.tune", description=__doc__)
    tuned = TUNED[options.peer]
    knobs = {name: getattr(options, name) or (value,) for name, value in asdict(tuned).items()}
    shown = Table(*knobs, "products/s", "p99 ms", title=f"{options.peer}, {options.picture_px} px")
    with tempfile.TemporaryDirectory() as scratch:
        catalog = write_catalog(options.catalog, Path(scratch) / "catalog", options.picture_px, limit=300)
        for values in product(*knobs.values()):
            tuning = replace(tuned, **dict(zip(knobs, values, strict=True)))
            with running_server(options.peer, Served(options.bundle), tuning) as port:
                summary = load.run(
                    load.Options(
                        protocol_of(options.peer), port, catalog, concurrency=options.concurrency, warmup_s=1.0,
                        duration_s=options.duration_s,
                    )
                )  # fmt: skip
            figures = (f"{summary.achieved_products_per_s:.0f}", f"{summary.phases_ms['total']['p99']:.0f}")
            shown.add_row(*map(str, values), *figures)
    Console(width=None if sys.stdout.isatty() else 120).print(shown)


if __name__ == "__main__":
    main()
