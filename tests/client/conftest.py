"""Fixtures: a running server with the toy bundle, and one that has an index of the toy shop beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.commands.build_command import BuildCommand, run_build
from server.app import AisleServer
from tests.conftest import toy_rows, write_catalog
from tests.server.support import toy_settings

#: Most queries, offers or ids, and bytes, that the server with an index takes in a request.
MAX_ITEMS = 10
MAX_BYTES = 20_000
NUM_OFFERS = 36


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(toy_settings(toy_bundle))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def target(server: AisleServer) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of o0 to o35: every ninth is the same product, every fifth has no price, others cost 1,000,001 a step.

    The category of `o<i>` is that of i modulo 3; those that 4 divides have no picture.
    """
    folder = tmp_path_factory.mktemp("offers")
    rows = toy_rows(folder, "o", NUM_OFFERS)
    for i, row in enumerate(rows):
        row |= {"group_id": f"g{i % 9}", "mall": ("north", "south")[i % 2]}
        row["price"] = str(1_000_001 * i) if i % 5 else ""
    return write_catalog(folder / "offers.csv", rows)


@pytest.fixture(scope="module")
def write_token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the token of those who may change the index."""
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text("a-writing-token-0123456789\n")
    return path


@pytest.fixture(scope="module")
def search_target(
    toy_bundle: Path, toy_cache: Path, offers: Path, write_token: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Target of a server with an index of `offers`."""
    index = str(tmp_path_factory.mktemp("indexes") / "index")
    run_build(BuildCommand(toy_bundle, offers, index, index_engine="exact", engine="openvino", cache_dir=toy_cache))
    settings = toy_settings(
        toy_bundle,
        index=index,
        write_token_file=write_token,
        max_products_per_request=MAX_ITEMS,
        max_message_bytes=MAX_BYTES,
    )
    server = AisleServer(settings)
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(grace_s=5)
