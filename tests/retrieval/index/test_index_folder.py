"""Indexes in folders: opened, locked, made anew, and on disks that are full."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.errors import VectorIndexError
from retrieval.index.index_folder import IndexBuild, open_index, read_description
from retrieval.index.record import IndexRecord
from tests.retrieval.support import build_index, describe, ids, make_records, same, unit_vectors

ROOT = Path(__file__).parents[3]
HNSW = describe("hnsw")


def scanned(location: str) -> list[str]:
    with open_index(location) as engine:
        return [record.product_id for record in engine.scan()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("engine", ["exact", "hnsw"])
def test_a_new_index_holds_what_was_put_in(tmp_path: Path, engine: Any) -> None:
    records = make_records(100)
    location = build_index(tmp_path / "deep" / "index", describe(engine), records)
    graph = {"image.usearch", "image.usearch.npz"} if engine == "hnsw" else set()
    assert names(Path(location)) == {"index.json", "products.sqlite", "search.json"} | graph
    assert read_description(location) == describe(engine)
    assert names(tmp_path / "deep") == {"index"}
    with open_index(location) as opened:
        assert opened.description == describe(engine)
        assert all(same(read, record) for read, record in zip(opened.scan(), records, strict=True))
        assert ids(opened.search("image", records[7].vectors["image"][None], 1)[0]) == ["p7"]


def test_a_build_says_what_it_made(tmp_path: Path) -> None:
    progress: list[int] = []
    with IndexBuild(str(tmp_path / "index"), HNSW, "source") as build:
        assert build.num_done == 0
        build.engine.upsert(make_records(70))
        build.finish(progress.append)
    assert build.statistics["image"].num_vectors == 70
    assert build.statistics["image"].recall == 1
    assert sum(progress) == 70


def test_an_index_is_changed(tmp_path: Path) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    with open_index(location, writes=True) as engine:
        engine.upsert(make_records(2, prefix="new"))
        assert engine.delete(["p1", "p2"]) == 2
    assert scanned(location) == ["p0", "p3", "p4", "new0", "new1"]
    with (
        open_index(location) as engine,
        pytest.raises(VectorIndexError, match=f"{location} was opened to be read only"),
    ):
        engine.delete(["p0"])


@pytest.mark.parametrize("writes", [True, False])
def test_a_folder_that_is_no_index(tmp_path: Path, writes: bool) -> None:
    for folder, reason in ((tmp_path, "No such file or directory"), (tmp_path / "file" / "index", "Not a directory")):
        (tmp_path / "file").touch()
        match = rf"{folder} is no index: index.json cannot be read \({reason}\); give the folder that python -m"
        with pytest.raises(VectorIndexError, match=match), open_index(str(folder), writes):
            pass
        with pytest.raises(VectorIndexError, match=match):
            read_description(str(folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"engine": "hn', "is damaged: .*; build the index again"),
        (b"\xff\xfe", "is damaged: .*; build the index again"),
        (b"", "is damaged: .*; build the index again"),
        (b"[]", "is damaged: .*; build the index again"),
        (b'{"format_version": 7}', "has format 7, this program reads format 1; build the index again"),
    ],
)
def test_a_damaged_description_and_one_of_another_format(tmp_path: Path, content: bytes, message: str) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    path = tmp_path / "index" / "index.json"
    path.write_bytes(content)
    for writes in (True, False):
        with pytest.raises(VectorIndexError, match=f"{path} {message}"), open_index(location, writes):
            pass


@pytest.mark.parametrize("writes", [True, False])
def test_damaged_records(tmp_path: Path, writes: bool) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(500))
    path = tmp_path / "index" / "products.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    message = f"{path} could not be opened: database disk image is malformed; check the path and the disk"
    with pytest.raises(VectorIndexError, match=message), open_index(location, writes):
        pass


@pytest.mark.parametrize("writes", [True, False])
def test_missing_records_are_not_taken_for_an_empty_index(tmp_path: Path, writes: bool) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    (tmp_path / "index" / "products.sqlite").unlink()
    message = f"{tmp_path}/index/products.sqlite is missing; build the index again"
    with pytest.raises(VectorIndexError, match=message), open_index(location, writes):
        pass
    assert not (tmp_path / "index" / "products.sqlite").exists()


WRITER = """
import sys
from retrieval.index.index_folder import open_index
with open_index(sys.argv[1], writes=True) as engine:
    print(engine.delete(["p0"]), flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_in_another_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    holder = subprocess.Popen(
        [sys.executable, "-c", WRITER, location], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout.readline() == "1\n"
    message = (
        f"index {location} is being changed by the process {holder.pid}; wait for it, or send the changes to that"
        " server"
    )
    for _ in range(2):
        with pytest.raises(VectorIndexError, match=message), open_index(location, writes=True):
            pass
    assert scanned(location) == ["p1", "p2", "p3", "p4"]
    holder.kill()
    holder.communicate()
    with open_index(location, writes=True) as engine:
        assert engine.delete(["p1"]) == 1
        with pytest.raises(VectorIndexError, match=f"by the process {os.getpid()}"), open_index(location, writes=True):
            pass
    with open_index(location, writes=True) as engine:
        assert engine.delete(["p2"]) == 1


class InterruptionError(Exception):
    """What ends a build in its middle."""


def interrupt(location: str, records: list[IndexRecord], source: str = "source", num_noted: int = 0) -> None:
    """Begin or go on with a build and end it before it is finished."""
    with suppress(InterruptionError), IndexBuild(location, HNSW, source) as build:
        build.engine.upsert(records)
        if num_noted:
            build.note_done(num_noted)
        raise InterruptionError


def test_an_interrupted_build_is_gone_on_with(tmp_path: Path) -> None:
    location, records = str(tmp_path / "index"), make_records(90)
    interrupt(location, records[:30], num_noted=30)
    assert names(tmp_path) == {".index.partial"}
    interrupt(location, records[30:60])  # in the index and not noted, so that it comes again
    with IndexBuild(location, replace(HNSW, created="later"), "source") as build:
        assert build.num_done == 30
        assert len(build.engine) == 60
        build.engine.upsert(records[30:])
        build.note_done(90)
        build.finish()
    assert names(tmp_path) == {"index"}
    assert not {"progress.json", "writer.lock"} & names(tmp_path / "index")
    assert scanned(location) == [record.product_id for record in records]
    with IndexBuild(location, HNSW, "source") as build:
        assert build.num_done == 0


@pytest.mark.parametrize(
    ("description", "source"),
    [
        (HNSW, "another"),
        (replace(HNSW, embedding_checksum="11"), "source"),
        (replace(HNSW, dims={"image": 32, "text": 4}), "source"),
        (describe("hnsw", recall=0.9), "source"),
        (describe("exact"), "source"),
    ],
)
def test_another_source_or_embedding_begins_anew(tmp_path: Path, description: Any, source: str) -> None:
    location = str(tmp_path / "index")
    interrupt(location, make_records(30), num_noted=30)
    with IndexBuild(location, description, source) as build:
        assert build.num_done == 0
        assert len(build.engine) == 0
        build.engine.upsert(make_records(2, prefix="new"))
        build.finish()
    assert scanned(location) == ["new0", "new1"]
    assert read_description(location) == description


@pytest.mark.parametrize("file", ["progress.json", "index.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:9])])
def test_damaged_progress_begins_anew(tmp_path: Path, file: str, damage: Callable[[Path], object]) -> None:
    location = str(tmp_path / "index")
    interrupt(location, make_records(30), num_noted=30)
    damage(tmp_path / ".index.partial" / file)
    with IndexBuild(location, HNSW, "source") as build:
        assert (build.num_done, len(build.engine)) == (0, 0)


def test_an_older_index_stays_until_the_new_one_is_finished(tmp_path: Path) -> None:
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    interrupt(location, make_records(3, prefix="new"), num_noted=3)
    assert scanned(location) == [f"p{i}" for i in range(5)]
    with open_index(location) as reader:
        with IndexBuild(location, HNSW, "source") as build:
            assert scanned(location) == [f"p{i}" for i in range(5)]
            build.finish()
        assert len(reader) == 5
        assert len(reader.search("image", unit_vectors(1, 1), 10)[0]) == 5
        assert [record.product_id for record in reader.scan()] == [f"p{i}" for i in range(5)]
    assert scanned(location) == ["new0", "new1", "new2"]
    assert names(tmp_path) == {"index"}


def test_an_index_that_another_changes_is_not_replaced(tmp_path: Path) -> None:
    """Its changes would be lost."""
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    message = f"index {location} is being changed by the process {os.getpid()}; wait for it"
    with open_index(location, writes=True) as engine:
        with pytest.raises(VectorIndexError, match=message), IndexBuild(location, HNSW, "source"):
            pass
        assert engine.delete(["p0"]) == 1
    with IndexBuild(location, HNSW, "source") as build:
        build.engine.upsert(make_records(3, prefix="new"))
        build.note_done(3)
        with open_index(location, writes=True) as engine:
            with pytest.raises(VectorIndexError, match=message):
                build.finish()
            assert engine.delete(["p1"]) == 1
    assert scanned(location) == ["p2", "p3", "p4"]
    with IndexBuild(location, HNSW, "source") as build:
        assert build.num_done == 3
        build.finish()
    assert scanned(location) == ["new0", "new1", "new2"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    assert scanned(build_index(tmp_path / "index", HNSW, make_records(1))) == ["p0"]


def test_a_place_that_is_no_index_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    for name in ("file", "folder"):
        message = f"{tmp_path / name} exists and is no index; choose another folder or remove it"
        with pytest.raises(VectorIndexError, match=message), IndexBuild(str(tmp_path / name), HNSW, "source"):
            pass
    assert names(tmp_path) == {"file", "folder"}
    assert (tmp_path / "folder" / "file").read_text() == "mine"


def test_two_builds_of_one_index_at_once_are_refused(tmp_path: Path) -> None:
    location = str(tmp_path / "index")
    with IndexBuild(location, HNSW, "source") as build:
        build.engine.upsert(make_records(5))
        message = rf"index .*\.index\.partial is being changed by the process {os.getpid()}"
        with pytest.raises(VectorIndexError, match=message), IndexBuild(location, HNSW, "source"):
            pass
        build.finish()
    assert len(scanned(location)) == 5


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def disks_can_be_mounted() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


NEEDS_MOUNT = pytest.mark.skipif(not disks_can_be_mounted(), reason="no disk can be mounted here")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(
            "disk",
            "database or disk is full; free space, then repeat the change",
            marks=NEEDS_MOUNT,
        ),
        ("file", "disk I/O error; check the path and the disk"),
    ],
)
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, kind: str, message: str) -> None:
    mount = (*NAMESPACE, "sh", "-c", f'mount -t tmpfs -o size=4m tmpfs "{tmp_path}" && exec "$@"', "sh")
    module = "tests.retrieval.index.full_disk_process"
    command = [*(mount if kind == "disk" else ()), sys.executable, "-m", module, str(tmp_path), kind]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True).stdout)
    assert said == [f"{tmp_path}/index/products.sqlite could not be written: {message}"] * 4


def read_only(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where a folder lies on a disk that cannot be written."""
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
    command = [*NAMESPACE, "sh", "-c", mount, "sh", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


SCAN = """
from retrieval.index.index_folder import open_index
from tests.retrieval.support import unit_vectors
with open_index({location!r}) as engine:
    print(len(list(engine.scan())), len(engine.search("image", unit_vectors(1, 0), 10)[0]))
"""


@NEEDS_MOUNT
def test_an_index_on_a_disk_that_is_read_only_is_searched(tmp_path: Path) -> None:
    location = build_index(tmp_path / "disk" / "index", HNSW, make_records(20))
    found = read_only(tmp_path / "disk", SCAN.format(location=location))
    assert (found.stdout, found.returncode) == ("20 10\n", 0), found.stderr


@NEEDS_MOUNT
def test_changes_that_a_disk_that_is_read_only_hides_are_told(tmp_path: Path) -> None:
    location = build_index(tmp_path / "disk" / "index", HNSW, make_records(20))
    with open_index(location, writes=True) as engine:
        engine.delete(["p1"])
        found = read_only(tmp_path / "disk", SCAN.format(location=location))
    assert "because products.sqlite-wal holds changes; copy the index after its writer has closed it" in found.stderr


def test_a_new_index_takes_the_place_of_another_at_once(tmp_path: Path) -> None:
    """Somebody who looks all the time finds one of them each time."""
    location = build_index(tmp_path / "index", HNSW, make_records(5))
    is_over, missed = threading.Event(), []

    def look() -> None:
        while not is_over.is_set():
            try:
                read_description(location)
            except VectorIndexError as error:
                missed.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(20):
        build_index(tmp_path / "index", HNSW, make_records(5))
    is_over.set()
    thread.join()
    assert missed == []
    assert names(tmp_path) == {"index"}
