"""Processes that are killed while they change or build an index lose nothing that they acknowledged."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.index.engine import IndexEngine
from retrieval.index.filter import ProductFilter
from retrieval.index.index_folder import IndexBuild, open_index
from tests.retrieval.index.killed_process import CHUNK, NUM_PRODUCTS, version_of
from tests.retrieval.support import build_index, describe, ids, same

ROOT = Path(__file__).parents[3]
#: Products with the version that they are in.
Versions = dict[str, int]


@pytest.fixture
def num_kills(pytestconfig: pytest.Config) -> int:
    """Given as --kills."""
    count: int = pytestconfig.getoption("--kills")
    return count


def said_until_killed(delay_s: float, *arguments: object) -> list[dict[str, Any]]:
    """Start a process, kill it some time after its first change, and return all that it said."""
    command = [sys.executable, "-m", "tests.retrieval.index.killed_process", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        first = [process.stdout.readline() for _ in range(2)]
        time.sleep(delay_s)
        process.kill()
        lines = [*first, *process.stdout.read().splitlines(keepends=True)]
    assert process.returncode == -9
    return [json.loads(line) for line in lines if line.endswith("\n")]


def after(versions: Versions, change: dict[str, Any]) -> Versions:
    if change["version"] is None:
        return {name: version for name, version in versions.items() if name not in change["ids"]}
    return versions | dict.fromkeys(change["ids"], change["version"])


def held(engine: IndexEngine) -> Versions:
    """What is in the index; every product is of one version through and through, and found as such."""
    records = list(engine.scan())
    versions = {record.product_id: int(record.attributes.brand) for record in records}
    assert len(versions) == len(records) == len(engine) == engine.statistics()["image"].num_vectors
    assert all(same(record, version_of(record.product_id, versions[record.product_id])) for record in records)
    assert all(same(engine.get([record.product_id])[0], record) for record in records[:20])
    num_missed = 0
    for record in records:
        vector = record.vectors["image"][None]
        brand = record.attributes.brand
        for condition in (ProductFilter(), ProductFilter(brands=(brand,))):
            hits = engine.search("image", vector, 3, condition)[0]
            num_missed += hits[0].product_id != record.product_id
            assert all(hit.attributes.brand == str(versions[hit.product_id]) for hit in hits)
    assert num_missed <= (0 if engine.name == "exact" else len(records) // 50)
    if records:
        found = ids(engine.search("image", vector, 2 * NUM_PRODUCTS)[0])
        assert sorted(found) == sorted(versions)
    return versions


@pytest.mark.parametrize("engine", ["exact", "hnsw"])
def test_every_acknowledged_change_is_there_after_a_kill(tmp_path: Path, engine: Any, num_kills: int) -> None:
    products = [version_of(f"p{i}", 0) for i in range(NUM_PRODUCTS)]
    location = build_index(tmp_path / "index", describe(engine), products)
    versions, rng = dict.fromkeys((record.product_id for record in products), 0), np.random.default_rng()
    num_changes = 0
    for kill in range(num_kills):
        said = said_until_killed(rng.uniform(0, 0.5), "change", location, 1_000_000 * (kill + 1))
        *changes, last = [line for line in said if "ids" in line]
        for change in changes:
            versions = after(versions, change)
        is_last_done = "done" in said[-1]
        num_changes += len(changes) + is_last_done
        with open_index(location) as reader:
            found = held(reader)
        if is_last_done:
            assert found == after(versions, last)
        else:
            assert found in (versions, after(versions, last))  # it was not said, and is there or not, and whole
        versions = found
        with open_index(location, writes=True) as writer:
            assert held(writer) == versions
    assert num_changes > 0


def test_a_build_that_was_killed_is_gone_on_with(tmp_path: Path, num_kills: int) -> None:
    location, rng, num_done = str(tmp_path / "index"), np.random.default_rng(), 0
    for _ in range(num_kills):
        said = said_until_killed(rng.uniform(0, 0.5), "build", location)
        assert said[0]["done"] in (num_done, num_done + CHUNK)  # the last one may have been noted and not said
        num_done = said[-1]["done"]
    assert not (tmp_path / "index").exists()
    with IndexBuild(location, describe("hnsw"), "source") as build:
        assert build.num_done in (num_done, num_done + CHUNK)
        assert build.num_done > 0
        num_products = build.num_done + 10
        build.engine.upsert([version_of(f"p{i}", 1) for i in range(build.num_done, num_products)])
        assert build.engine.delete([f"p{i}" for i in range(num_products, num_products + CHUNK)]) <= CHUNK - 10
        build.finish()
    with open_index(location) as engine:
        assert [record.product_id for record in engine.scan()] == [f"p{i}" for i in range(num_products)]
        assert all(same(record, version_of(record.product_id, 1)) for record in engine.scan())
