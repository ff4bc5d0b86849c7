"""Fixtures: a shop of offers in pairs, its index, matchers of it, and a running server with them."""

import shutil
from pathlib import Path

import pytest

from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.commands.train_matcher_command import TrainMatcherCommand, run_train_matcher
from retrieval.settings import MatcherSettings
from server.settings import ServerSettings
from tests.retrieval.matching.support import offers_of, write_catalog, write_pairs
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


@pytest.fixture(scope="module")
def search_settings(
    toy_bundle: Path,
    offers_index: Path,
    matcher: Path,
    token_files: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerSettings:
    """Of a server that looks often whether its index has changed."""
    return toy_settings(
        toy_bundle,
        index=str(shutil.copytree(offers_index, tmp_path_factory.mktemp("served") / "index")),
        matcher=matcher,
        matcher_refresh_s=0.1,
        write_token_file=token_files[1],
        metrics_port=0,
        max_batch_items=4,
        max_batch_images=2,
        max_products_per_request=20,
    )


@pytest.fixture
def index(offers_index: Path, tmp_path: Path) -> Path:
    """A copy for one test."""
    return Path(shutil.copytree(offers_index, tmp_path / "index"))
