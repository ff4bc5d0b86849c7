import math
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import VectorIndexError
from retrieval.index.local.record_store import RecordStore
from retrieval.index.record import Attributes, IndexRecord
from tests.retrieval.support import DIM, HALF_FLOAT_ERROR, make_records, same, unit_vectors

DIMS = {"image": DIM}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "products.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[RecordStore]:
    made = RecordStore(path, DIMS)
    yield made
    made.close()


def scanned(store: RecordStore) -> list[str]:
    return [record.product_id for record in store.scan()]


def test_what_was_written_is_read_again_by_id_and_by_key(store: RecordStore, path: Path) -> None:
    records = make_records(50)
    keys, replaced = store.write(records, [])
    assert replaced == {}
    assert keys.dtype == np.int64
    assert keys.tolist() == store.keys().tolist() == list(range(1, 51))
    store.close()
    store = RecordStore(path, DIMS)
    found = store.get(["p49", "none", "p0", "p49"])
    assert found[1] is None
    assert [same(found[i], records[j]) for i, j in ((0, 49), (2, 0), (3, 49))] == [True] * 3
    assert found[0].vectors["image"].dtype == np.float32
    assert all(same(read, record) for read, record in zip(store.scan(), records, strict=True))
    assert store.keys().tolist() == keys.tolist()
    product_id, attributes = store.attributes([int(keys[7])])[int(keys[7])]
    assert (product_id, repr(attributes)) == ("p7", repr(records[7].attributes))
    store.close()


@pytest.mark.parametrize("text", ["", "O'Neil\";--", "a\0b", "한글 👕", "line\nline", "x" * 100_000])
def test_texts_of_any_kind_are_kept(store: RecordStore, text: str) -> None:
    record = IndexRecord(f"id{text}", Attributes(*[text] * 4, 1.5, *[text] * 8), {})
    store.write([record], [])
    assert store.get([f"id{text}"]) == [record]


@pytest.mark.parametrize("price", [math.nan, 0.0, 19.99, 16_777_217.0, 1e300, math.inf])
def test_prices_are_kept(store: RecordStore, price: float) -> None:
    store.write([IndexRecord("a", Attributes(price=price), {})], [])
    assert store.get(["a"])[0].attributes.price == pytest.approx(price, rel=0, nan_ok=True)


def test_spaces_in_which_a_product_has_no_vector_are_left_out(path: Path) -> None:
    store = RecordStore(path, {"text": 4, "image": DIM})
    image, text = unit_vectors(1, 1)[0], unit_vectors(1, 1, 4)[0]
    given = [{}, {"image": image}, {"text": text}, {"image": image, "text": text}]
    store.write([IndexRecord(f"p{i}", Attributes(), vectors) for i, vectors in enumerate(given)], [])
    for record, vectors in zip(store.scan(), given, strict=True):
        assert record.vectors.keys() == vectors.keys()
        assert all(np.abs(record.vectors[space] - vectors[space]).max() < HALF_FLOAT_ERROR for space in vectors)
    store.close()


def test_a_new_version_gets_a_key_of_its_own_and_the_last_place(store: RecordStore) -> None:
    first, second, third = make_records(3)
    store.write([first, second, third], [])
    keys, replaced = store.write([replace(second, attributes=Attributes("changed"))], [])
    assert (keys.tolist(), replaced) == ([4], {"p1": 2})
    assert scanned(store) == ["p0", "p2", "p1"]
    assert store.keys().tolist() == [1, 3, 4]
    assert store.get(["p1"])[0].attributes.product_name == "changed"


def test_a_key_is_never_used_again(store: RecordStore, path: Path) -> None:
    store.write(make_records(3), [])
    assert store.write([], ["p2", "none"])[1] == {"p2": 3}
    store.write([], [])  # the marked ones are gone
    store.close()
    store = RecordStore(path, DIMS)
    assert store.write(make_records(1, prefix="new"), [])[0].tolist() == [4]
    assert store.keys().tolist() == [1, 2, 4]
    store.close()


def test_replaced_and_deleted_versions_are_found_by_key_until_the_next_change(store: RecordStore) -> None:
    store.write(make_records(3), [])
    store.write([IndexRecord("p0", Attributes("changed"), {})], ["p1"])
    found = store.attributes([1, 2, 3, 4, 99])
    assert {key: product_id for key, (product_id, _) in found.items()} == {1: "p0", 2: "p1", 3: "p2", 4: "p0"}
    assert (found[1][1].product_name, found[4][1].product_name) == ("상품 0", "changed")
    store.write([], ["p2"])
    assert sorted(store.attributes([1, 2, 3, 4])) == [3, 4]
    assert scanned(store) == ["p0"]


def test_more_ids_than_a_statement_takes(store: RecordStore) -> None:
    """Of SQLite's own limit; some systems raise it."""
    for connection in (store._writer, store._reader()):
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
    records = make_records(30)
    keys, _ = store.write(records, [])
    names, many_keys = [f"p{i}" for i in range(40_000)], range(40_000)
    found = store.get(names)
    assert [record.product_id for record in found if record is not None] == names[:30] == scanned(store)
    assert len(found) == 40_000
    assert sorted(store.attributes(many_keys)) == keys.tolist()
    assert len(store.write(records[:20], names[20:])[1]) == 30
    assert scanned(store) == names[:20]
    assert sorted(store.attributes(many_keys)) == list(range(1, 51))


def test_a_change_that_fails_changes_nothing(store: RecordStore) -> None:
    records = make_records(20)
    store.write(records, [])
    unwritable = IndexRecord("unwritable", Attributes("\ud800"), {})
    with pytest.raises(UnicodeEncodeError):
        store.write([IndexRecord("p0", Attributes("changed"), {}), *make_records(5, prefix="new"), unwritable], ["p1"])
    assert all(same(read, record) for read, record in zip(store.scan(), records, strict=True))
    keys, replaced = store.write([IndexRecord("p0", Attributes("changed"), {})], ["p1"])
    assert (keys.tolist(), replaced) == ([21], {"p0": 1, "p1": 2})


def test_a_scan_stays_at_one_version_and_other_reads_do_not(store: RecordStore) -> None:
    store.write(make_records(5), [])
    scan = store.scan()
    assert next(scan).product_id == "p0"
    keys, _ = store.write([IndexRecord("p1", Attributes("changed"), {}), *make_records(1, prefix="new")], ["p2"])
    assert store.get(["p1"])[0].attributes.product_name == "changed"
    assert [name for name, _ in store.attributes(keys.tolist()).values()] == ["p1", "new0"]
    rest = list(scan)
    assert [record.product_id for record in rest] == ["p1", "p2", "p3", "p4"]
    assert rest[0].attributes.product_name == "상품 1"
    assert scanned(store) == ["p0", "p3", "p4", "p1", "new0"]


def test_a_scan_may_be_left(store: RecordStore) -> None:
    store.write(make_records(30), [])
    for _ in range(50):
        scan = store.scan()
        assert next(scan).product_id == "p0"
        scan.close()
    assert len(store._connections) == 1  # the writer's


def test_a_snapshot_does_not_change(store: RecordStore, path: Path) -> None:
    records = make_records(20)
    store.write(records, [])
    snapshot = RecordStore(path, DIMS, read_only=True)
    store.write([IndexRecord("p0", Attributes("changed"), {}), *make_records(3, prefix="new")], ["p1"])
    store.write([], ["p2"])

    def read(_: int) -> bool:
        return (
            all(same(read, record) for read, record in zip(snapshot.scan(), records, strict=True))
            and snapshot.get(["p0"])[0].attributes.product_name == "상품 0"
            and [name for name, _ in snapshot.attributes(list(range(1, 30))).values()] == [f"p{i}" for i in range(20)]
            and snapshot.keys().tolist() == list(range(1, 21))
        )

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(40)))
    snapshot.close()
    later = RecordStore(path, DIMS, read_only=True)
    assert scanned(later) == [*(f"p{i}" for i in range(3, 20)), "p0", "new0", "new1", "new2"]
    later.close()


def test_threads_read_while_one_writes(store: RecordStore) -> None:
    """A reader sees all of a change or nothing of it."""
    store.write([IndexRecord(f"p{i}", Attributes("0"), {}) for i in range(20)], [])
    is_over = threading.Event()

    def read(_: int) -> int:
        rounds = 0
        while not is_over.is_set() or not rounds:
            for records in (list(store.scan()), store.get([f"p{i}" for i in range(20)])):
                assert len({record.attributes.product_name for record in records}) == 1
                assert len({record.product_id for record in records}) == 20
            rounds += 1
        return rounds

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read, i) for i in range(4)]
        for version in range(100):
            store.write([IndexRecord(f"p{i}", Attributes(f"{version}"), {}) for i in range(20)], [])
        is_over.set()
        assert all(reader.result() for reader in readers)


@pytest.mark.parametrize(("power_safe", "synchronous"), [(False, 1), (True, 2)])
def test_a_change_waits_for_the_disk_where_that_is_asked_for(path: Path, power_safe: bool, synchronous: int) -> None:
    store = RecordStore(path, DIMS, power_safe=power_safe)
    assert store._writer.execute("pragma synchronous").fetchone() == (synchronous,)
    assert store._writer.execute("pragma journal_mode").fetchone() == ("wal",)
    store.close()


DAMAGES = {
    "another file": lambda data: b"no database" * 1000,
    "cut off": lambda data: data[: len(data) // 2],
    "its beginning": lambda data: data[:100],
    "zeros in it": lambda data: data[:8192] + bytes(len(data) - 16384) + data[-8192:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_file_is_said(path: Path, damage: str, read_only: bool) -> None:
    store = RecordStore(path, DIMS)
    store.write(make_records(500), [])
    store.close()
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    reasons = "file is not a database|database disk image is malformed"
    with pytest.raises(
        VectorIndexError, match=rf"products.sqlite could not be (opened|read): ({reasons}); check the path and the disk"
    ):
        list(RecordStore(path, DIMS, read_only).scan())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for read_only in (True, False):
        with pytest.raises(VectorIndexError, match="could not be opened: unable to open database file; check the path"):
            RecordStore(tmp_path / "nowhere" / "products.sqlite", DIMS, read_only)


def test_another_dimension_is_another_file(store: RecordStore, path: Path) -> None:
    store.write(make_records(1), [])
    with pytest.raises(VectorIndexError, match="could not be read: no such column: text_vector"):
        list(RecordStore(path, {"text": 4}, read_only=True).scan())


def test_a_closed_store_says_so(store: RecordStore) -> None:
    store.write(make_records(1), [])
    assert scanned(store) == ["p0"]
    assert store.keys().tolist() == [1]
    store.close()
    for use in (lambda: store.write([], ["p0"]), lambda: store.get(["p0"]), store.keys):
        with pytest.raises(VectorIndexError, match="Cannot operate on a closed database"):
            use()
