"""Fixtures: an index of the toy catalog, and a bundle after metric learning, made once per test run."""

from pathlib import Path

import pytest

from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.learning.train import MetricJob, train_metric
from retrieval.settings import MetricSettings

#: Metric learning at toy size.
TOY_METRIC = MetricSettings(dim=16, steps=40, batch_products=3, batch_entries=8, learning_rate=0.01)


@pytest.fixture(scope="session")
def toy_index(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of the training catalog by all spaces of the toy bundle; not to be changed."""
    index = tmp_path_factory.mktemp("index") / "toy"
    run_build(BuildCommand(toy_bundle, toy_catalogs[0], str(index), cache_dir=toy_cache))
    return index


@pytest.fixture(scope="session")
def toy_similar(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The toy bundle after metric learning on its categories."""
    out = tmp_path_factory.mktemp("similar") / "toy" / "2"
    job = MetricJob(
        toy_bundle, (toy_catalogs[0],), {}, out, (), None, False, "none", out.with_name("rejects.csv"), toy_cache
    )
    train_metric(job, TOY_METRIC)
    return out
