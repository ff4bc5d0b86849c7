"""Fixtures: a shop of offers in pairs, its index, matchers of it, and a running server with them."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.commands.train_matcher_command import TrainMatcherCommand, run_train_matcher
from retrieval.settings import MatcherSettings
from server.app import AisleServer
from server.settings import ServerSettings
from tests.retrieval.matching.support import offers_of, write_catalog, write_pairs
from tests.server.search.support import WRITE_TOKEN, SearchStub
from tests.server.support import toy_settings

NUM_PRODUCTS = 80


@pytest.fixture(scope="session")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Offers p0 to p159, of which p0 and p1, p2 and p3, ... are one product."""
    return write_catalog(tmp_path_factory.mktemp("offers") / "offers.csv", offers_of(NUM_PRODUCTS, seed=4))


@pytest.fixture(scope="session")
def offers_index(offers: Path, toy_bundle: Path, toy_cache: Path) -> Path:
    """Their index, for copies."""
    folder = offers.with_name("index")
    run_build(BuildCommand(toy_bundle, offers, str(folder), engine="openvino", cache_dir=toy_cache))
    return folder


@pytest.fixture(scope="session")
def matcher(offers: Path, offers_index: Path) -> Path:
    """A matcher that compares the vectors of the index as well."""
    folder = offers.with_name("matcher")
    pairs = write_pairs(offers.with_name("pairs.csv"), NUM_PRODUCTS, seed=5)
    quick = MatcherSettings(num_models=1, num_trees=40, num_folds=3, precision=0.9)
    run_train_matcher(TrainMatcherCommand(offers, folder, (pairs,), index=str(offers_index), settings=quick))
    return folder


@pytest.fixture(scope="session")
def write_token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "write"
    path.write_text(f"{WRITE_TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def matcher_settings(
    toy_bundle: Path,
    offers_index: Path,
    matcher: Path,
    write_token_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerSettings:
    """Of a server that looks often whether its index has changed."""
    return toy_settings(
        toy_bundle,
        index=str(shutil.copytree(offers_index, tmp_path_factory.mktemp("served") / "index")),
        matcher=matcher,
        matcher_refresh_s=0.1,
        write_token_file=write_token_file,
        metrics_port=0,
        max_batch_items=4,
        max_batch_images=2,
        max_products_per_request=20,
    )


@pytest.fixture
def settings(matcher_settings: ServerSettings, offers_index: Path, tmp_path: Path) -> ServerSettings:
    """Of a fresh server, with an index of its own."""
    return dataclasses.replace(matcher_settings, index=str(shutil.copytree(offers_index, tmp_path / "index")))


@pytest.fixture(scope="module")
def server(matcher_settings: ServerSettings) -> Iterator[AisleServer]:
    server = AisleServer(matcher_settings)
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def search(channel: grpc.Channel) -> SearchStub:
    return SearchStub(channel)
