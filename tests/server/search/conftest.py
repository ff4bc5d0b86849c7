"""Fixtures: a small shop, its index, and a running server with both."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from model.predictor import Predictor
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.embedding.embedder import Embedder
from server.app import AisleServer
from server.settings import ServerSettings
from tests.conftest import toy_rows, write_catalog
from tests.server.search.support import NUM_PRODUCTS, READ_TOKEN, WRITE_TOKEN, SearchStub, Shop
from tests.server.support import open_channel, toy_settings


@pytest.fixture(scope="session")
def shop(run_folder: Path) -> Shop:
    """Products p0 to p35: every eighteenth is the same product, p9 and p21 are pictures of one item.

    The category is that of the number modulo 3; every fourth has no picture, every sixth no price.
    """
    folder = run_folder / "shop"
    rows = toy_rows(folder, "p", NUM_PRODUCTS)
    for i, row in enumerate(rows):
        row |= {"mall": f"mall{i % 2}", "price": str(100 * i) if i % 6 else "", "group_id": f"g{i % 18}"}
        row["item_id"] = "item" if i in (9, 21) else ""
    return Shop(write_catalog(folder / "shop.csv", rows), rows)


@pytest.fixture(scope="session")
def built_index(toy_bundle: Path, shop: Shop, toy_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the shop, for copies."""
    folder = tmp_path_factory.mktemp("built") / "index"
    run_build(BuildCommand(toy_bundle, shop.catalog, str(folder), engine="openvino", cache_dir=toy_cache))
    return folder


@pytest.fixture
def index(built_index: Path, tmp_path: Path) -> Path:
    """A copy for one test."""
    return Path(shutil.copytree(built_index, tmp_path / "index"))


@pytest.fixture(scope="session")
def embedder(predictor: Predictor) -> Embedder:
    """Says what the vectors are."""
    return Embedder(predictor)


@pytest.fixture(scope="session")
def token_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Those of who may read and of who may write."""
    folder = tmp_path_factory.mktemp("tokens")
    for name, token in (("read", READ_TOKEN), ("write", WRITE_TOKEN)):
        (folder / name).write_text(f"{token}\n")
    return folder / "read", folder / "write"


@pytest.fixture(scope="module")
def search_settings(
    toy_bundle: Path, built_index: Path, token_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> ServerSettings:
    """Of a server whose index may be changed; batches are small, because it warms up all sizes."""
    index = shutil.copytree(built_index, tmp_path_factory.mktemp("served") / "index")
    return toy_settings(
        toy_bundle,
        index=str(index),
        write_token_file=token_files[1],
        metrics_port=0,
        max_batch_items=4,
        max_batch_images=2,
        max_image_pixels=6_000_000,
    )


@pytest.fixture
def settings(search_settings: ServerSettings, index: Path) -> ServerSettings:
    """Of a fresh server, with an index of its own."""
    return dataclasses.replace(search_settings, index=str(index))


@pytest.fixture(scope="module")
def server(search_settings: ServerSettings) -> Iterator[AisleServer]:
    server = AisleServer(search_settings)
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def search(channel: grpc.Channel) -> SearchStub:
    return SearchStub(channel)


@pytest.fixture
def fresh_search(fresh_server: AisleServer) -> Iterator[SearchStub]:
    with open_channel(fresh_server) as channel:
        yield SearchStub(channel)
