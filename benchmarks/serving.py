"""Served throughput against the in-process ceiling and against TensorFlow behind a plain gRPC servicer.

    python -m benchmarks.serving --bundle DIR --catalog ../shared/data/fashion224/val.csv
    python -m benchmarks.serving --bundle DIR --catalog FILE --contenders ceiling aisle --products-per-request 64

One contender after the other in every round, each loaded in closed loop by a client on the same cores; medians over
the rounds, ratios within a round. Pictures of the catalog are written as JPEGs of each size first.
"""

import csv
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table

from client.catalog import read_catalog

Contender = Literal["ceiling", "aisle", "tensorflow"]
_READY_TIMEOUT_S = 120


@dataclass(frozen=True)
class Options:
    """What to measure."""

    bundle: Path
    """Bundle that every contender runs."""
    catalog: Path
    """Catalog whose products are sent."""
    contenders: tuple[Contender, ...] = ("ceiling", "aisle", "tensorflow")
    """Who takes part."""
    picture_px: tuple[int, ...] = (224,)
    """Sides of the JPEGs sent; 0 sends text only."""
    products_per_request: int = 1
    """Products in a request."""
    concurrency: int = 32
    """Callers at the same time."""
    rounds: int = 5
    """Rounds; every contender runs once in each."""
    duration_s: float = 8.0
    """Length of one measurement, seconds."""
    limit: int = 300
    """Rows of the catalog that are used."""
    precision: str = "float32"
    """Arithmetic of the ceiling and of Aisle."""
    json: Path | None = None
    """File for all figures."""


def main() -> None:
    """Measure every picture size."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving", description=__doc__)
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for px in options.picture_px:
            catalog = write_catalog(options.catalog, Path(scratch) / str(px), px, options.limit)
            what = f"{px} px" if px else "text"
            results[what] = measure(options, catalog)
            Console(width=None if sys.stdout.isatty() else 160).print(table(what, results[what]))
    if options.json:
        given = {name: str(value) for name, value in asdict(options).items()}
        options.json.write_text(json.dumps({"options": given, "products_per_s": results}, indent=2), encoding="utf-8")


def write_catalog(source: Path, folder: Path, px: int, limit: int) -> Path:
    """The first rows of a catalog with square JPEGs of one size; those of 0 px have none."""
    folder.mkdir(parents=True)
    target = folder / "catalog.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["product_id", "product_name", "mall_category", "brand", "maker", "image"])
        for number, item in zip(range(limit), read_catalog(source), strict=False):
            product, image = item.product, ""
            if px and product.image:
                image = f"{number}.jpg"
                (folder / image).write_bytes(_resized(product.image, px))
            texts = (product.product_name, product.mall_category, product.brand, product.maker)
            writer.writerow([product.product_id, *texts, image])
    return target


def measure(options: Options, catalog: Path) -> dict[str, list[float]]:
    """Products/s of each contender, one figure a round."""
    rates: dict[str, list[float]] = {name: [] for name in options.contenders}
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(running_server(name, options)) for name in options.contenders if name != "ceiling"
        }
        for _ in range(options.rounds):
            for name in options.contenders:
                rate = _ceiling(options, catalog) if name == "ceiling" else _load(options, catalog, ports[name])
                rates[name].append(rate)
    return rates


@contextmanager
def running_server(name: Contender, options: Options) -> Iterator[int]:
    """A server in a process of its own on a free port; stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    module = "server" if name == "aisle" else "benchmarks.peers.tensorflow_server"
    flags = ["--host", "127.0.0.1", "--precision", options.precision] if name == "aisle" else []
    command = [sys.executable, "-m", module, "--bundle", str(options.bundle), "--port", str(port), *flags]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_until_listening(port, process)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def table(what: str, rates: dict[str, list[float]]) -> Table:
    """Medians, and the median of the ratios to the first contender within each round."""
    first = next(iter(rates))
    shown = Table("contender", "products/s, median", "least", "most", f"ratio to {first}", title=what)
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates[first], strict=True))
        shown.add_row(
            name, *(f"{value:,.0f}" for value in (statistics.median(values), min(values), max(values))), f"{ratio:.2f}"
        )
    return shown


def _ceiling(options: Options, catalog: Path) -> float:
    flags = ["--duration-s", str(options.duration_s), "--precision", options.precision]
    if not any(item.product.image for item in read_catalog(catalog)):
        flags += ["--batch-size", "128"]
    return float(
        _run_json("benchmarks.ceiling", "--bundle", options.bundle, "--catalog", catalog, *flags)["products_per_s"]
    )


def _load(options: Options, catalog: Path, port: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "load.json"
        flags = ["--mode", "closed", "--concurrency", str(options.concurrency), "--duration-s", str(options.duration_s)]
        flags += ["--products-per-request", str(options.products_per_request), "--json", str(out)]
        _run("client", "load-test", "--target", f"127.0.0.1:{port}", "--catalog", str(catalog), *flags)
        run = json.loads(out.read_text(encoding="utf-8"))["runs"][0]
    if run["errors"]:
        raise SystemExit(f"requests failed, so that the rate says nothing: {run['errors']}")
    return float(run["achieved_products_per_s"])


def _run(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TQDM_DISABLE": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _run_json(module: str, *arguments: object) -> dict:
    return json.loads(_run(module, *arguments).strip().splitlines()[-1])


def _wait_until_listening(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(
                f"the server ended with {process.returncode} before it listened; start it by hand to see why"
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"the server did not listen within {_READY_TIMEOUT_S} s")


def _resized(picture: bytes, px: int) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        target = io.BytesIO()
        image.convert("RGB").resize((px, px), Image.Resampling.LANCZOS).save(target, "JPEG", quality=90)
    return target.getvalue()


if __name__ == "__main__":
    main()
