"""Throughput and latency of the server, compared with the in-process ceiling and other servers on the same cores.

    python -m benchmarks.serving.comparison --bundle DIR --catalog ../shared/data/fashion224/val.csv
    python -m benchmarks.serving.comparison --bundle DIR --catalog FILE --competitors aisle --products-per-request 64

Peers run in environments of their own (`make peers`) with the settings of `benchmarks.peers.tuning`; one whose
environment is missing is skipped. Pictures of the catalog are written as JPEGs of each size; every server first has to
answer 20 of the products right. Then in every round each competitor in turn is loaded in closed loop while the others
are idle; after that, in as many rounds, in open loop (Poisson) at half of Aisle's throughput, or at half of its own
where a peer cannot reach that. Prints medians over the rounds, and ratios within a round.
"""

import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from PIL import Image
from rich.console import Console

from benchmarks.serving.answer_check import check_answers, reference_answers
from benchmarks.serving.competitors import ServedBundle, ServerName, is_installed, protocol_of, running_server
from benchmarks.serving.tables import latency_table, rate_table
from client.catalog import read_items
from model.bundle_files import FILES
from model.engines.engine import Precision
from model.machine.console import wide_console
from model.product import TEXT_COLUMNS

_NUM_CHECKED = 20


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    bundle: Path
    """Bundle that every competitor runs."""
    catalog: Path
    """Catalog whose products are sent."""
    competitors: tuple[Literal["ceiling"] | ServerName, ...] = (
        "ceiling",
        "aisle",
        "tensorflow",
        "triton-onnx",
        "triton-openvino",
        "mosec",
        "mlserver",
    )
    """Competitors to measure."""
    picture_px: tuple[int, ...] = (224,)
    """Sides of the JPEGs sent; 0 sends text only."""
    products_per_request: int = 1
    """Products in a request."""
    concurrency: int = 32
    """Callers at the same time, in closed loop."""
    rounds: int = 5
    """Rounds; every competitor runs once in each."""
    duration_s: float = 8.0
    """Length of one measurement, seconds."""
    open_loop: bool = True
    """Also measure the latency at half the rate."""
    limit: int = 300
    """Most rows of the catalog to use."""
    precision: Precision = "float32"
    """Arithmetic of OpenVINO in all competitors."""
    json: Path | None = None
    """File for all figures."""


@dataclass(frozen=True)
class Figures:
    """Results for one picture size, one value per round.

    Args:
        products_per_s: throughput of each competitor in closed loop.
        rates_rps: offered rate of each in open loop, requests per second.
        latency_ms: latency of each in open loop, "p50" and "p99".
    """

    products_per_s: dict[str, list[float]]
    rates_rps: dict[str, float]
    latency_ms: dict[str, dict[str, list[float]]]


def main() -> None:
    """Measure all picture sizes."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving.comparison", description=__doc__)
    console = wide_console()
    competitors = installed(options, console)
    results: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as scratch:
        served = ServedBundle(_with_onnx(options, competitors, Path(scratch)), options.precision)
        for px in options.picture_px:
            catalog = write_catalog(options.catalog, Path(scratch) / str(px), px, options.limit)
            title = f"{px} px" if px else "text"
            results[title] = figures = measure(options, competitors, served, catalog)
            console.print(rate_table(title, figures.products_per_s))
            if figures.latency_ms:
                console.print(latency_table(title, figures.rates_rps, figures.latency_ms))
    if options.json:
        given = {name: str(value) for name, value in asdict(options).items()}
        found = {title: asdict(figures) for title, figures in results.items()}
        options.json.write_text(json.dumps({"options": given, "figures": found}, indent=2), encoding="utf-8")


def write_catalog(source: Path, folder: Path, px: int, limit: int) -> Path:
    """Write the first rows of a catalog with square JPEGs of one size; without pictures for 0 px."""
    folder.mkdir(parents=True)
    target = folder / "catalog.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["product_id", *TEXT_COLUMNS, "image"])
        for number, item in zip(range(limit), read_items(source), strict=False):
            product, image = item.product, ""
            if px and product.image:
                image = f"{number}.jpg"
                (folder / image).write_bytes(_resized(product.image, px))
            texts = [getattr(product, column) for column in TEXT_COLUMNS]
            writer.writerow([product.product_id, *texts, image])
    return target


def measure(options: Options, competitors: list[str], served: ServedBundle, catalog: Path) -> Figures:
    """Check the answers of all competitors, then measure them in turn."""
    products = [item.product for item in read_items(catalog)][:_NUM_CHECKED]
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    with running_servers(competitors, served) as ports:
        expected = reference_answers(served, products)
        for name, port in ports.items():
            check_answers(name, port, products, expected, served.precision)
        for _ in range(options.rounds):
            for name in competitors:
                if name == "ceiling":
                    rates[name].append(_ceiling(options, served, catalog))
                else:
                    closed = _load(options, catalog, name, ports[name], "--concurrency", options.concurrency)
                    rates[name].append(closed["achieved_products_per_s"])
        if not options.open_loop or "aisle" not in ports:
            return Figures(rates, {}, {})
        offered_rps = half_rates(options, {name: rates[name] for name in ports})
        latency_ms: dict[str, dict[str, list[float]]] = {name: {"p50": [], "p99": []} for name in ports}
        for turn in range(options.rounds):
            for name, port in ports.items():
                run = _load(options, catalog, name, port, "--rate", offered_rps[name], "--seed", turn)
                for percentile, values in latency_ms[name].items():
                    values.append(run["phases_ms"]["total"][percentile])
    return Figures(rates, offered_rps, latency_ms)


@contextmanager
def running_servers(competitors: list[str], served: ServedBundle) -> Iterator[dict[ServerName, int]]:
    """Run the servers of all competitors except the ceiling, which has none; yield the port of each."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(running_server(name, served)) for name in competitors if name != "ceiling"}


def half_rates(options: Options, rates: dict[ServerName, list[float]]) -> dict[str, float]:
    """Compute the rate of each server's open loop, requests per second."""
    most_rps = {name: statistics.median(values) / options.products_per_request for name, values in rates.items()}
    half_rps = most_rps["aisle"] / 2
    return {name: half_rps if rps >= half_rps else rps / 2 for name, rps in most_rps.items()}


def installed(options: Options, console: Console) -> list[str]:
    """Return the competitors that are installed."""
    found: list[str] = []
    for name in options.competitors:
        if name == "ceiling" or is_installed(name):
            found.append(name)
        else:
            console.print(f"{name} is skipped: its environment is missing; create it with make peers")
    return found


def _with_onnx(options: Options, competitors: list[str], scratch: Path) -> Path:
    """Return the bundle, or a copy with ONNX programs when a competitor needs them and it has none."""
    if "triton-onnx" not in competitors or (options.bundle / FILES.onnx_classifier).exists():
        return options.bundle
    copy = scratch / "bundle"
    _run("training", "export-onnx", "--bundle", options.bundle, "--out", copy)
    return copy


def _ceiling(options: Options, served: ServedBundle, catalog: Path) -> float:
    flags = ["--duration-s", str(options.duration_s), "--precision", options.precision]
    if not any(item.product.image for item in read_items(catalog)):
        flags += ["--batch-size", "128"]
    return float(
        _run_json("benchmarks.serving.ceiling", "--bundle", served.bundle, "--catalog", catalog, *flags)[
            "products_per_s"
        ]
    )


def _load(options: Options, catalog: Path, name: ServerName, port: int, *flags: object) -> dict[str, Any]:
    """Run `benchmarks.serving.load` once; returns the JSON of `client.load.summary.Summary`."""
    given = ["--protocol", protocol_of(name), "--port", port, "--catalog", catalog, *flags]
    given += ["--duration-s", options.duration_s, "--products-per-request", options.products_per_request]
    run = _run_json("benchmarks.serving.load", *given)
    if run["errors"] or run["num_failed_products"]:
        raise SystemExit(
            f"{name}: expected every product to be answered, found requests that ended with {run['errors']} and"
            f" {run['num_failed_products']} products with an error; its figures are meaningless"
        )
    return run


def _run(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TQDM_DISABLE": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _run_json(module: str, *arguments: object) -> dict[str, Any]:
    return json.loads(_run(module, *arguments).strip().splitlines()[-1])


def _resized(picture: bytes, px: int) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        target = io.BytesIO()
        image.convert("RGB").resize((px, px), Image.Resampling.LANCZOS).save(target, "JPEG", quality=90)
    return target.getvalue()


if __name__ == "__main__":
    main()
