"""The steps of the demo: generate a catalog, train, evaluate, serve, classify, stop, find similar products."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.progress import track

from aisle_client.client import AisleClient
from catalog.columns import COLUMNS
from client.catalog import CatalogItem, read_items
from demo.answers import COMBINATIONS, ask
from demo.catalog import compose_products, write_catalog
from demo.child import Child
from demo.tables import accuracy_table, answers_table, choose_examples, contract_sentence
from model.product import FIELDS

CONFIG = Path(__file__).with_name("demo.toml")
_NUM_SHOWN = 20
_NUM_SIMILAR = 5
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_HEALTH_INTERVAL_S = 0.2


@dataclass(frozen=True)
class DemoSettings:
    """Run Aisle on a generated catalog: train, evaluate, serve, classify, stop, find similar products."""

    dir: Path = Path("build/demo")
    """Folder for the catalog, the bundle and the report."""
    products: int = 4_000
    """Products of the catalog, 1,000 or more."""
    seed: int = 0
    """Seed of the catalog and of training."""

    @property
    def bundle(self) -> Path:
        """The folder of the bundle: models/<name>/<version>."""
        return self.dir / "models" / "demo" / "1"

    @property
    def report(self) -> Path:
        """The folder of the evaluation's report."""
        return self.dir / "report"

    @property
    def index(self) -> Path:
        """The folder of the index of similar products."""
        return self.dir / "index"

    @property
    def similar(self) -> Path:
        """The picture of a question and what was found."""
        return self.dir / "similar.png"


def run_demo(settings: DemoSettings, console: Console) -> None:
    """Run all steps.

    Raises:
        AisleError, ClientError: a step failed; no process is left running.
    """
    began = time.monotonic()
    with _step(console, "1/6  Generate a Korean shop's catalog"):
        files = _make_catalog(settings, console)
    with _step(console, "2/6  Train on names, mall categories and pictures"):
        _train(settings, files, console)
    with _step(console, "3/6  Evaluate on test products"):
        _run(
            ["evaluate", *_bundle_flags(settings), "--catalog", str(files["test"]), "--report", str(settings.report)],
            console,
        )
    items = list(read_items(files["test"]))
    port = _free_port()
    server = ["server", "--bundle", str(settings.bundle), "--host", "127.0.0.1", "--port", str(port)]
    with Child(server, settings.dir / "server.log") as child:
        with _step(console, "4/6  Serve over gRPC"):
            console.print(f"$ {child.command}", style="dim", highlight=False)
            _wait_until_serving(child, port)
            console.print(f"SERVING on 127.0.0.1:{port}")
        with _step(console, "5/6  Classify the test products with the client"):
            _classify(items, port, console)
            child.terminate(_STOP_TIMEOUT_S)
            console.print("The server stopped on SIGTERM with exit code 0.")
    with _step(console, "6/6  Find products like one in a picture"):
        _find_similar(settings, files, items, console)
    console.print(f"[bold]Done in {time.monotonic() - began:.0f} s")
    _print_next_steps(settings, console)


def _make_catalog(settings: DemoSettings, console: Console) -> dict[str, Path]:
    products = compose_products(settings.products, settings.seed)
    num_pictures = sum(bool(product.image) for product in products)
    bar = iter(track(range(num_pictures), "drawing pictures", console=console, transient=True))
    files = write_catalog(settings.dir, products, settings.seed, on_picture=lambda: next(bar, None))
    next(bar, None)  # finishes the bar
    for split, path in files.items():
        console.print(f"{path}: {sum(product.split == split for product in products):,} products")
    console.print(f"{num_pictures:,} pictures in {settings.dir / 'images'}")
    return files


def _train(settings: DemoSettings, files: dict[str, Path], console: Console) -> None:
    work_dir = settings.dir / "training"
    flags = [
        "--catalog",
        str(files["shop"]),
        *_bundle_flags(settings),
        "--config",
        str(CONFIG),
    ]
    _run(["train", *flags, "--work-dir", str(work_dir), "--seed", str(settings.seed)], console)


def _find_similar(settings: DemoSettings, files: dict[str, Path], items: list[CatalogItem], console: Console) -> None:
    """Index the shop, and ask it about the picture of a test product."""
    index = ["--index", str(settings.index)]
    build = ["build", *_bundle_flags(settings), "--catalog", str(files["shop"]), *index]
    asked = next(item.product.product_id for item in items if item.product.image)
    query = ["query", *index, "--image", str(settings.dir / "images" / f"{asked}.jpg"), "--k", str(_NUM_SIMILAR)]
    for arguments in (build, [*query, "--sheet", str(settings.similar)]):
        _run(arguments, console, "retrieval")


def _bundle_flags(settings: DemoSettings) -> list[str]:
    """Return flags for the bundle and for a cache inside the demo's folder."""
    return ["--bundle", str(settings.bundle), "--cache-dir", str(settings.dir / "cache")]


def _run(arguments: list[str], console: Console, module: str = "training") -> None:
    with Child([module, *arguments]) as child:
        console.print(f"$ {child.command}", style="dim", highlight=False)
        child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_serving(server: Child, port: int) -> None:
    """Raise DemoError when the server ends or is not SERVING in time."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while not _is_serving(health):
            if not server.is_running:
                raise server.failure("ended before it was SERVING")
            if time.monotonic() > deadline:
                raise server.failure(f"was not SERVING after {_START_TIMEOUT_S:g} s")
            time.sleep(_HEALTH_INTERVAL_S)


def _is_serving(health: Any) -> bool:  # the stub's methods are created by its constructor
    try:
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _classify(items: list[CatalogItem], port: int, console: Console) -> None:
    with AisleClient(f"127.0.0.1:{port}") as client:
        answered = {fields: ask(client, items, fields, top_k=3) for fields in COMBINATIONS}
    console.print(answers_table(choose_examples(answered[FIELDS], answered[("name",)], _NUM_SHOWN)))
    console.print(accuracy_table(answered))
    console.print(contract_sentence(answered[FIELDS]))


def _print_next_steps(settings: DemoSettings, console: Console) -> None:
    commands = (
        "python -m training inspect --catalog my-shop.csv",
        "python -m training train --catalog my-shop.csv --bundle models/shop/1",
        "python -m training evaluate --bundle models/shop/1 --catalog my-test.csv --report build/report",
        "python -m server --models models",
        "python -m client classify --target localhost:50051 --name '남성 오버핏 반팔 라운드 100' --image shirt.jpg",
        "python -m retrieval build --bundle models/shop/1 --catalog my-shop.csv --index my-index",
        "python -m retrieval query --index my-index --image shirt.jpg --sheet similar.png",
    )
    console.print(f"Report: {settings.report / 'report.html'}\nBundle: {settings.bundle}")
    console.print(f"A picture and its five neighbours: {settings.similar}\n")
    console.print(f"With your own CSV ({', '.join(COLUMNS)}; other headings: --columns product_name=title,...):")
    for command in ("source .venv/bin/activate", *commands):
        console.print(f"  {command}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    console.print(f"[bold]── {title}")
    began = time.monotonic()
    yield
    console.print(f"took {time.monotonic() - began:.1f} s\n", style="green")
