"""A process that changes an index until its disk refuses, and goes on when there is space again."""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from model.errors import VectorIndexError
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import open_index
from tests.retrieval.support import build_index, describe, ids, make_records, unit_vectors

#: Bytes that are left to the index.
SPACE = 300_000


def held(engine: IndexEngine) -> dict[str, str]:
    """Names by id, as a scan and a search give them."""
    scanned = {record.product_id: record.attributes.product_name for record in engine.scan()}
    found = engine.search("image", unit_vectors(1, 0), len(scanned) + 10)[0]
    assert sorted(ids(found)) == sorted(scanned)
    assert all(scanned[hit.product_id] == hit.attributes.product_name for hit in found)
    return scanned


def refusal(engine: IndexEngine, change: Callable[[], object]) -> str:
    """What is said of a change that is refused; '' where it is not."""
    before = held(engine)
    try:
        change()
    except VectorIndexError as error:
        assert held(engine) == before
        return str(error)
    return ""


def take_space(folder: Path, kind: Literal["disk", "file"]) -> None:
    """Fill the disk, or limit the size of files."""
    if kind == "file":
        resource.setrlimit(resource.RLIMIT_FSIZE, (SPACE, resource.RLIM_INFINITY))
        return
    disk = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(disk.f_bavail * disk.f_frsize - SPACE))


def give_space(folder: Path, kind: Literal["disk", "file"]) -> None:
    if kind == "file":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        (folder / "ballast").unlink()


def main(folder: Path, kind: Literal["disk", "file"]) -> None:
    """Print what was said of each change that was refused."""
    location = build_index(folder / "index", describe("hnsw"), make_records(100))
    said: list[str] = []
    with open_index(location, writes=True) as engine:
        take_space(folder, kind)
        while not said:
            more = make_records(100, prefix=f"{len(engine)} ")
            said += filter(None, [refusal(engine, lambda records=more: engine.upsert(records))])
        expected = held(engine)
        others = make_records(100, seed=2)
        for change in (
            lambda: engine.upsert(more),
            lambda: engine.upsert(others),
            lambda: engine.delete(list(expected)),
        ):
            said.append(refusal(engine, change))
        give_space(folder, kind)
        engine.upsert(more)
        expected |= {record.product_id: record.attributes.product_name for record in more}
        assert engine.delete(["p0"]) == 1
        del expected["p0"]
        assert held(engine) == expected
    with open_index(location) as engine:
        assert held(engine) == expected
    print(json.dumps(said))  # noqa: T201 - to the test


if __name__ == "__main__":
    main(Path(sys.argv[1]), "disk" if sys.argv[2] == "disk" else "file")
