"""A process that changes an index, and says so, until it is killed."""

import json
import sys
from typing import Any

import numpy as np

from retrieval.index.index_folder import IndexBuild, open_index
from retrieval.index.local import local_engine
from retrieval.index.record import Attributes, IndexRecord
from tests.retrieval.support import describe, unit_vectors

NUM_PRODUCTS = 150
CHUNK = 20


def version_of(product_id: str, version: int) -> IndexRecord:
    """Its name and its vector say the same version."""
    vector = unit_vectors(1, 1_000_000 * version + int(product_id[1:]))[0]
    return IndexRecord(product_id, Attributes(f"version {version}", brand=str(version)), {"image": vector})


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)  # noqa: T201 - to the test


def change(location: str, first_version: int) -> None:
    """Insert, replace and delete; each change is said when it begins and when it is acknowledged."""
    rng = np.random.default_rng(first_version)
    local_engine._SAVED_CHANGES, local_engine._SAVED_SHARE = 40, 0.0  # so that graphs are saved all the time
    with open_index(location, writes=True) as engine:
        for version in range(first_version, first_version + 1_000_000):
            count = 1 if rng.random() < 0.5 else int(rng.integers(2, 40))
            chosen = [f"p{i}" for i in rng.choice(NUM_PRODUCTS, count, replace=False)]
            is_deletion = bool(rng.random() < 0.3)
            say(ids=chosen, version=None if is_deletion else version)
            if is_deletion:
                engine.delete(chosen)
            else:
                engine.upsert([version_of(product_id, version) for product_id in chosen])
            say(done=True)


def build(location: str) -> None:
    """Make an index that never is complete, and say how far it is."""
    with IndexBuild(location, describe("hnsw"), "source") as index_build:
        say(done=index_build.num_done)
        for start in range(index_build.num_done, 1_000_000, CHUNK):
            index_build.engine.upsert([version_of(f"p{i}", 1) for i in range(start, start + CHUNK)])
            index_build.note_done(start + CHUNK)
            say(done=start + CHUNK)


if __name__ == "__main__":
    if sys.argv[1] == "change":
        change(sys.argv[2], int(sys.argv[3]))
    else:
        build(sys.argv[2])
