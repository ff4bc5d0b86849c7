"""Fixtures: an index of the toy catalog, and a bundle after metric learning, made once per test run."""

from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.learning.train import MetricJob, train_metric
from retrieval.settings import MetricSettings
from tests.conftest import made_once

#: Metric learning at toy size.
TOY_METRIC = MetricSettings(dim=16, steps=40, batch_products=3, batch_entries=8, learning_rate=0.01)


@pytest.fixture(scope="session")
def toy_index(toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, run_folder: Path) -> Path:
    """An index of the training catalog by all spaces of the toy bundle; not to be changed."""

    def make(index: Path) -> None:
        run_build(BuildCommand(toy_bundle, toy_catalogs[0], str(index), cache_dir=toy_cache))

    return made_once(run_folder / "toy-index", make)


@pytest.fixture(scope="session")
def toy_similar(toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, run_folder: Path) -> Path:
    """The toy bundle after metric learning on its categories."""

    def make(folder: Path) -> None:
        out, rejects = folder / "toy" / "2", folder / "toy" / "rejects.csv"
        job = MetricJob(toy_bundle, (toy_catalogs[0],), ReadOptions(), out, (), None, False, "none", rejects, toy_cache)
        train_metric(job, TOY_METRIC)

    return made_once(run_folder / "similar", make) / "toy" / "2"
