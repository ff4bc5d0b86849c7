"""The engines `exact` and `hnsw` in a folder."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.errors import VectorIndexError
from retrieval.index.description import IndexEngineName
from retrieval.index.filter import ProductFilter
from retrieval.index.local import local_engine
from retrieval.index.local.local_engine import LocalEngine
from retrieval.index.record import Attributes, IndexRecord
from tests.retrieval.support import (
    DIM,
    HALF_FLOAT_ERROR,
    describe,
    exact_hits,
    ids,
    make_records,
    normalized,
    positive_vectors,
    records_of,
    same,
    unit_vectors,
)

ENGINES: tuple[IndexEngineName, ...] = ("exact", "hnsw")
NUM_STOCKED = 4000


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalEngine]:
    """An empty index that is open for changes."""
    made = opened(tmp_path, request.param)
    yield made
    made.close()


@pytest.fixture(scope="module", params=ENGINES)
def stocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """An index of STOCK."""
    made = built(tmp_path_factory.mktemp("stocked"), request.param, STOCK)
    yield made
    made.close()


STOCK = make_records(NUM_STOCKED)


def opened(folder: Path, name: IndexEngineName, read_only: bool = False) -> LocalEngine:
    made = LocalEngine(folder, describe(name), read_only)
    made.open_graphs()
    return made


def built(folder: Path, name: IndexEngineName, records: list[IndexRecord], **settings: float) -> LocalEngine:
    made = LocalEngine(folder, describe(name, **settings))
    made.upsert(records)
    made.finish_bulk()
    return made


def recall(engine: LocalEngine, records: list[IndexRecord], queries: np.ndarray, k: int = 10) -> float:
    """Share of the nearest that are found; of equally near ones any counts."""
    vectors = np.array([record.vectors["image"] for record in records]).astype(np.float16).astype(np.float32)
    shares = []
    for query, hits in zip(queries, engine.search("image", queries, k), strict=True):
        least = np.sort(vectors @ query)[-k]
        shares.append(sum(hit.score >= least - 1e-6 for hit in hits) / k)
    return float(np.mean(shares))


def changed(record: IndexRecord, name: str, seed: int) -> IndexRecord:
    """Another version of a product, with another vector."""
    return replace(
        record,
        attributes=replace(record.attributes, product_name=name),
        vectors={"image": unit_vectors(1, 1000 + seed)[0]},
    )


def assert_holds(engine: LocalEngine, records: list[IndexRecord]) -> None:
    """It has these and no others, and finds each at its own place."""
    by_id = {record.product_id: record for record in records}
    assert len(engine) == len(by_id)
    assert engine.statistics()["image"].num_vectors == len(by_id)
    assert all(same(read, by_id.pop(read.product_id)) for read in engine.scan())
    assert not by_id
    queries = np.array([record.vectors["image"] for record in records])
    num_missed = 0
    for record, (hit, *_) in zip(records, engine.search("image", queries, 2), strict=True):
        num_missed += hit.product_id != record.product_id
        assert hit.product_id != record.product_id or hit.attributes.product_name == record.attributes.product_name
    assert num_missed <= (0 if engine.name == "exact" else len(records) // 50)
    found = ids(engine.search("image", queries[:1], len(records) + 5)[0])
    assert sorted(found) == sorted(record.product_id for record in records)


def test_hits_come_in_the_exact_order_with_their_scores(stocked: LocalEngine) -> None:
    queries = unit_vectors(40, 3)
    for query, hits in zip(queries, stocked.search("image", queries, 10), strict=True):
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        for hit in hits:
            record = STOCK[int(hit.product_id[1:])]
            assert hit.score == pytest.approx(float(record.vectors["image"] @ query), abs=HALF_FLOAT_ERROR)
            assert repr(hit.attributes) == repr(record.attributes)


def test_the_exact_engine_finds_what_numpy_finds(tmp_path: Path) -> None:
    engine = built(tmp_path, "exact", STOCK)
    queries = unit_vectors(40, 3)
    for k in (1, 10, 300):
        for query, hits in zip(queries, engine.search("image", queries, k), strict=True):
            assert ids(hits) == exact_hits(STOCK, query, k)
    assert engine.statistics()["image"].recall == 1
    engine.close()


@pytest.mark.parametrize("least", [0.9, 0.98])
def test_a_graph_finds_the_share_that_was_asked_for(tmp_path: Path, least: float) -> None:
    engine = built(tmp_path, "hnsw", STOCK, recall=least)
    measured = engine.statistics()["image"]
    assert (measured.dim, measured.num_vectors) == (DIM, NUM_STOCKED)
    assert measured.recall >= least
    assert recall(engine, STOCK, unit_vectors(200, 3)) >= least - 0.01
    engine.close()


def test_a_graph_of_features_that_are_all_positive(tmp_path: Path) -> None:
    """They differ by little of their length, which 8 bits lose unless what they share is taken away."""
    records = records_of(positive_vectors(3000, 1))
    engine = built(tmp_path, "hnsw", records)
    assert engine.statistics()["image"].recall >= 0.98
    assert recall(engine, records, positive_vectors(100, 2)) >= 0.98
    engine.close()


def test_a_picture_that_many_products_have_hides_no_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = records_of(unit_vectors(3000, 1))
    records[500:1500] = [replace(record, vectors=records[0].vectors) for record in records[500:1500]]
    with caplog.at_level(logging.WARNING, "aisle.index"):
        engine = built(tmp_path, "hnsw", records)
    assert not caplog.records
    assert engine.statistics()["image"].recall >= 0.98
    assert recall(engine, records, np.array([record.vectors["image"] for record in records[::30]])) >= 0.98
    engine.close()


@pytest.mark.parametrize("count", [1, 60, 700])
def test_as_many_as_are_there_are_found_where_all_are_the_same(tmp_path: Path, count: int) -> None:
    vector = unit_vectors(1, 1)
    engine = built(tmp_path, "hnsw", records_of(np.repeat(vector, count, axis=0)))
    for k in (1, count // 2 + 1, count, count + 5):
        found = ids(engine.search("image", vector, k)[0])
        assert len(set(found)) == len(found) == min(k, count)
    engine.close()


def test_a_recall_out_of_reach_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"recall": 1, "max_neighbors": 4, "build_candidates": 16, "max_search_candidates": 64}
    with caplog.at_level(logging.WARNING, "aisle.index"):
        engine = built(
            tmp_path, "hnsw", records_of(normalized(np.random.default_rng(1).random((3000, DIM)))), **settings
        )
    assert "space image: 64 candidates find 0." in caplog.text
    assert "1.000 was asked for; raise --max-search-candidates" in caplog.text
    assert 0.3 < engine.statistics()["image"].recall < 1
    engine.close()


def test_progress_is_told_product_by_product(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path, describe("hnsw"))
    engine.upsert(make_records(100))
    progress: list[int] = []
    engine.finish_bulk(progress.append)
    assert sum(progress) == 100
    engine.close()


CONDITIONS = {
    "one in a hundred": ProductFilter(brands=("rare",)),
    "none": ProductFilter(brands=("nobody",)),
    "all": ProductFilter(brands=("rare", *(f"brand {i}" for i in range(7)))),
    "sub-tree": ProductFilter(category="의류"),
    "leaf": ProductFilter(category="의류>상의"),
    "no such category": ProductFilter(category="의"),
    "mall": ProductFilter(malls=("11번가",)),
    "malls": ProductFilter(malls=("", "쿠팡")),
    "from a price": ProductFilter(min_price=NUM_STOCKED - 20),
    "to a price": ProductFilter(max_price=40),
    "one price": ProductFilter(min_price=11, max_price=11),
    "any price": ProductFilter(min_price=0),
    "several": ProductFilter("의류", ("brand 1", "brand 3"), ("", "쿠팡"), 100, 2000),
}


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_filter_leaves_the_nearest_that_meet_it(stocked: LocalEngine, condition: ProductFilter) -> None:
    queries = unit_vectors(5, 4)
    for k in (10, 200):
        for query, hits in zip(queries, stocked.search("image", queries, k, condition), strict=True):
            assert ids(hits) == exact_hits(STOCK, query, k, condition)


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_through_a_graph_a_filter_gets_as_many_hits(
    stocked: LocalEngine, condition: ProductFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where so many products meet it that they are not compared one by one."""
    monkeypatch.setattr(local_engine, "_COMPARED_ROWS", 1)
    monkeypatch.setattr(local_engine, "_MOST_CANDIDATES", 2048)
    queries, found, wanted = unit_vectors(20, 4), 0, 0
    for k in (3, 10):
        for query, hits in zip(queries, stocked.search("image", queries, k, condition), strict=True):
            expected = exact_hits(STOCK, query, k, condition)
            assert len(set(ids(hits))) == len(hits) == len(expected)
            assert all(condition.matches(hit.attributes) for hit in hits)
            found, wanted = found + len(set(ids(hits)) & set(expected)), wanted + len(expected)
    assert found >= 0.98 * wanted


def test_a_graph_is_what_searches_go_through(tmp_path: Path) -> None:
    """Or nothing here says anything about it."""
    engine = built(tmp_path, "hnsw", make_records(300))
    found = ids(engine.search("image", unit_vectors(1, 2), 3)[0])
    engine._graphs["image"].remove(np.array([int(name[1:]) + 1 for name in found]))
    assert not {*ids(engine.search("image", unit_vectors(1, 2), 3)[0])} & {*found}
    engine.close()


def test_products_are_inserted_replaced_and_deleted_one_by_one(engine: LocalEngine) -> None:
    rng, now = np.random.default_rng(1), {}
    pool = make_records(40)
    for step in range(300):
        record = pool[rng.integers(40)]
        if rng.random() < 0.3:
            assert engine.delete([record.product_id]) == (now.pop(record.product_id, None) is not None)
        else:
            now[record.product_id] = changed(record, f"version {step}", step)
            engine.upsert([now[record.product_id]])
        if step % 30 == 29:
            assert_holds(engine, list(now.values()))


def test_products_are_inserted_replaced_and_deleted_in_bulk(engine: LocalEngine) -> None:
    records = make_records(300)
    engine.upsert(records)
    assert_holds(engine, records)
    records = [changed(record, "new", i) for i, record in enumerate(records[:200])] + records[200:]
    engine.upsert([*records[:200], *make_records(50, seed=5, prefix="more")])
    assert_holds(engine, [*records, *make_records(50, seed=5, prefix="more")])
    assert engine.delete([f"p{i}" for i in range(150)] + [f"more{i}" for i in range(60)]) == 200
    assert_holds(engine, records[150:])
    assert engine.delete([record.product_id for record in records]) == 150
    assert len(engine) == 0
    assert engine.search("image", unit_vectors(2, 1), 5) == [[], []]
    engine.upsert(records)
    assert_holds(engine, records)


def test_of_an_id_given_twice_the_last_counts(engine: LocalEngine) -> None:
    first, other = make_records(2)
    last = changed(first, "last", 1)
    engine.upsert([first, other, changed(first, "middle", 2), last])
    assert_holds(engine, [other, last])
    assert engine.delete(["p0", "none", "p0", "p1", "nul\0"]) == 2
    assert len(engine) == 0


def test_nothing_is_written_deleted_and_asked(engine: LocalEngine) -> None:
    engine.upsert([])
    assert engine.delete([]) == 0
    assert engine.get([]) == []
    assert engine.search("image", unit_vectors(1, 2), 5) == [[]]
    assert engine.search("image", np.empty((0, DIM), np.float32), 5) == []
    engine.finish_bulk()
    assert engine.search("image", unit_vectors(1, 2), 5, ProductFilter(category="none")) == [[]]
    assert engine.statistics()["image"].recall == 1
    engine.upsert(make_records(3))
    assert engine.search("image", np.empty((0, DIM), np.float32), 5) == []
    assert len(engine.search("image", unit_vectors(1, 2), 5)[0]) == 3


def test_a_product_without_a_vector_is_not_found_in_that_space(tmp_path: Path) -> None:
    images, texts = unit_vectors(60, 1), unit_vectors(60, 2, 6)
    records = [IndexRecord("neither", Attributes(), {})]
    records += [IndexRecord(f"image {i}", Attributes(), {"image": images[i]}) for i in range(30)]
    records += [IndexRecord(f"both {i}", Attributes(), {"image": images[i], "text": texts[i]}) for i in range(30, 60)]
    for name in ENGINES:
        description = describe(name, {"text": 6, "image": DIM})
        (tmp_path / name).mkdir()
        engine = LocalEngine(tmp_path / name, description)
        engine.upsert(records)
        engine.finish_bulk()
        for _ in range(2):
            counts = {space: found.num_vectors for space, found in engine.statistics().items()}
            assert counts == {"text": 30, "image": 60}
            assert len(engine) == 61
            found = ids(engine.search("text", texts[:1], 100)[0])
            assert len(found) == 30
            assert {name.split()[0] for name in found} == {"both"}
            assert len(engine.search("image", images[:1], 100)[0]) == 60
            assert engine.get(["neither"])[0].vectors == {}
            engine.close()
            engine = LocalEngine(tmp_path / name, description)
            engine.open_graphs()
        engine.upsert([IndexRecord("both 30", Attributes(), {"text": texts[0]})])
        assert len(engine.search("image", images[:1], 100)[0]) == 59
        assert ids(engine.search("text", texts[:1], 1)[0]) == ["both 30"]
        engine.close()


def test_vectors_of_another_bundle_are_refused_and_nothing_is_written(engine: LocalEngine) -> None:
    good, *_ = make_records(1)
    broken = good.vectors["image"].copy()
    broken[3] = np.nan
    for vectors, message in (
        ({"image": unit_vectors(1, 1, 8)[0]}, rf"expected {DIM} finite numbers in the space 'image', found \(8,\)"),
        ({"image": unit_vectors(1, 1)}, rf"expected {DIM} finite numbers in the space 'image', found \(1, {DIM}\)"),
        ({"image": broken}, f"expected {DIM} finite numbers in the space 'image'"),
        ({"image": broken * np.inf}, f"expected {DIM} finite numbers in the space 'image'"),
        ({"text": good.vectors["image"]}, "expected vectors of image only in the space 'text'"),
    ):
        match = f"product 'bad': {message}.*; embed it with the bundle of the index"
        with pytest.raises(VectorIndexError, match=match):
            engine.upsert([good, IndexRecord("bad", Attributes(), vectors)])
    assert len(engine) == 0
    assert engine.get(["p0"]) == [None]


def test_a_question_of_another_bundle_is_refused(engine: LocalEngine) -> None:
    engine.upsert(make_records(3))
    with pytest.raises(VectorIndexError, match="expected a space of image, found 'text'"):
        engine.search("text", unit_vectors(1, 1), 5)
    with pytest.raises(VectorIndexError, match=rf"expected {DIM} finite numbers in 'image', found \(2, 8\)"):
        engine.search("image", unit_vectors(2, 1, 8), 5)
    with pytest.raises(VectorIndexError, match=f"expected {DIM} finite numbers in 'image'"):
        engine.search("image", np.full((1, DIM), np.nan, np.float32), 5)


def test_it_is_the_same_after_it_was_closed(engine: LocalEngine, tmp_path: Path) -> None:
    records = make_records(300)
    engine.upsert(records)
    engine.finish_bulk()
    engine.delete(["p0", "p1"])
    engine.upsert([changed(records[2], "new", 1), *make_records(10, seed=3, prefix="more")])
    now = [changed(records[2], "new", 1), *records[3:], *make_records(10, seed=3, prefix="more")]
    for read_only in (False, True, True):
        engine.close()
        engine = opened(tmp_path, engine.name, read_only)
        assert_holds(engine, now)
    engine.close()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("file", ["image.usearch", "image.usearch.npz", "search.json"])
@pytest.mark.parametrize("damage", [Path.unlink, cut_off])
def test_files_that_only_save_time_are_made_again(tmp_path: Path, file: str, damage: object) -> None:
    records = make_records(200)
    built(tmp_path, "hnsw", records).close()
    assert callable(damage)
    damage(tmp_path / file)
    engine = opened(tmp_path, "hnsw")
    assert_holds(engine, records)
    engine.delete(["p0"])
    engine.close()
    engine = opened(tmp_path, "hnsw")
    assert_holds(engine, records[1:])
    assert (tmp_path / "image.usearch").exists()
    engine.close()


def test_a_saved_graph_is_used_and_only_what_it_lacks_put_in(tmp_path: Path) -> None:
    records = make_records(300)
    built(tmp_path, "hnsw", records).close()
    exact = LocalEngine(tmp_path, describe("exact"))  # changes the records and not the graph
    exact.delete(["p0", "p1"])
    exact.upsert([changed(records[2], "new", 1), *make_records(4, seed=3, prefix="more")])
    exact.close()
    progress: list[int] = []
    engine = LocalEngine(tmp_path, describe("hnsw"))
    engine.open_graphs(progress.append)
    assert progress == [5]
    assert sorted(engine._graphs["image"].keys()) == engine._table.keys("image").tolist()
    assert_holds(engine, [changed(records[2], "new", 1), *records[3:], *make_records(4, seed=3, prefix="more")])
    engine.close()


def test_how_far_a_search_looks_is_known_again(tmp_path: Path) -> None:
    records = records_of(normalized(np.random.default_rng(1).standard_normal((3000, DIM))))
    engine = built(tmp_path, "hnsw", records, recall=0.995, max_neighbors=8)
    expected = engine.statistics()
    assert engine._graphs["image"]._index.expansion_search > 64
    found = engine.search("image", unit_vectors(20, 1), 10)
    engine.close()
    engine = opened(tmp_path, "hnsw", read_only=True)
    assert engine.statistics() == expected
    assert engine.search("image", unit_vectors(20, 1), 10) == found
    engine.close()


@pytest.mark.parametrize("name", ENGINES)
def test_who_reads_only_sees_the_index_as_it_was(tmp_path: Path, name: IndexEngineName) -> None:
    records = make_records(200)
    built(tmp_path, name, records).close()
    writer, reader = opened(tmp_path, name), opened(tmp_path, name, read_only=True)
    newer = [changed(record, "new", i) for i, record in enumerate(records[:50])]
    writer.upsert([*newer, *make_records(20, seed=3, prefix="more")])
    writer.delete([f"p{i}" for i in range(100, 150)])
    now = [*newer, *records[50:100], *records[150:], *make_records(20, seed=3, prefix="more")]
    assert_holds(reader, records)
    assert_holds(writer, now)
    later = opened(tmp_path, name, read_only=True)
    assert_holds(later, now)
    writer.close()
    assert_holds(reader, records)
    assert_holds(later, now)
    reader.close()
    later.close()


def test_who_reads_only_changes_nothing(tmp_path: Path) -> None:
    built(tmp_path, "hnsw", make_records(20)).close()
    (tmp_path / "image.usearch").unlink()
    reader = opened(tmp_path, "hnsw", read_only=True)
    for change in (lambda: reader.upsert(make_records(1)), lambda: reader.delete(["p0"])):
        with pytest.raises(VectorIndexError, match=f"{tmp_path} was opened to be read only"):
            change()
    reader.close()
    assert not (tmp_path / "image.usearch").exists()


def test_a_graph_is_saved_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_engine, "_SAVED_CHANGES", 30)
    engine = built(tmp_path, "hnsw", make_records(100))
    (tmp_path / "image.usearch").unlink()
    engine.upsert(make_records(30, prefix="a"))
    assert not (tmp_path / "image.usearch").exists()
    engine.upsert(make_records(1, prefix="b"))
    assert (tmp_path / "image.usearch").exists()
    engine.close()


def test_a_graph_that_cannot_be_saved_costs_time_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = built(tmp_path, "hnsw", make_records(50))
    (tmp_path / "image.usearch").unlink()
    (tmp_path / "image.usearch").mkdir()  # nothing can take this name
    engine.delete(["p0"])
    with caplog.at_level(logging.WARNING, "aisle.index"):
        engine.close()
    assert f"graph in {tmp_path} cannot be saved: " in caplog.text
    assert "the next opening takes longer" in caplog.text
    engine = opened(tmp_path, "hnsw", read_only=True)
    assert_holds(engine, make_records(50)[1:])
    engine.close()


def test_changes_are_seen_while_a_scan_is_open(engine: LocalEngine) -> None:
    """Also by the thread that scans."""
    engine.upsert(make_records(20))
    scanned = []
    for record in engine.scan():
        scanned.append(record.product_id)
        engine.upsert([changed(record, "new", len(scanned))])
        assert len(engine.search("image", unit_vectors(1, 1), 20)[0]) == 20
        assert engine.get([record.product_id])[0].attributes.product_name == "new"
    assert scanned == [f"p{i}" for i in range(20)]


def version_of(product: int, version: int) -> IndexRecord:
    vector = unit_vectors(1, 1_000_000 * product + version)[0]
    return IndexRecord(f"p{product}", Attributes(f"{product} {version}"), {"image": vector})


def assert_whole(hits: list[local_engine.Hit], query: np.ndarray, k: int) -> None:
    """As many as were asked for, no product twice, and each with the name and vector of one version."""
    assert len(set(ids(hits))) == len(hits) == k
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        product, version = map(int, hit.attributes.product_name.split())
        assert hit.product_id == f"p{product}"
        vector = version_of(product, version).vectors["image"]
        assert hit.score == pytest.approx(float(vector @ query), abs=HALF_FLOAT_ERROR)


@pytest.mark.parametrize("compared_rows", [local_engine._COMPARED_ROWS, 1])
def test_threads_read_while_others_write(
    engine: LocalEngine, compared_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "_COMPARED_ROWS", compared_rows)
    count, num_writers = 120, 3
    engine.upsert([version_of(product, 0) for product in range(count)])
    is_over = threading.Event()

    def write(writer: int) -> None:
        """Alone the writer of every third product: one by one, in bulk, and away and back."""
        own = range(writer, count, num_writers)
        for version in range(1, 13):
            if version % 3 == 0:
                engine.upsert([version_of(product, version) for product in own])
            else:
                for product in own[:8]:
                    engine.upsert([version_of(product, version)])
        extra = [replace(version_of(product, 99), product_id=f"extra{product}") for product in own]
        engine.upsert(extra)
        assert engine.delete([record.product_id for record in extra]) == len(extra)

    def read(reader: int) -> int:
        rounds, rng = 0, np.random.default_rng(reader)
        while not is_over.is_set() or not rounds:
            query = unit_vectors(1, int(rng.integers(1000)))
            condition = ProductFilter(brands=("",)) if rounds % 2 else ProductFilter()
            hits = engine.search("image", query, 10, condition)[0]
            if any(hit.product_id.startswith("extra") for hit in hits):
                assert len(set(ids(hits))) == len(hits) == 10
            else:
                assert_whole(hits, query[0], 10)
            assert engine.get(["p7"])[0] is not None
            assert engine.statistics()["image"].num_vectors >= count
            rounds += 1
        return rounds

    with ThreadPoolExecutor(12) as threads:
        readers = [threads.submit(read, reader) for reader in range(6)]
        writers = [threads.submit(write, writer) for writer in range(num_writers)]
        try:
            for writer in writers:
                writer.result()
        finally:
            is_over.set()
        assert all(reader.result() for reader in readers)
    assert_holds(engine, [version_of(product, 12) for product in range(count)])


def test_searches_side_by_side_find_what_one_alone_finds(stocked: LocalEngine) -> None:
    queries = unit_vectors(200, 5)
    alone = [stocked.search("image", query[None], 10)[0] for query in queries]
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda query: stocked.search("image", query[None], 10)[0], queries))
    assert [ids(hits) for hits in together] == [ids(hits) for hits in alone]


def test_an_index_that_is_changed_for_long_stays_as_large(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_engine, "_GONE_ROWS", 50)
    records = make_records(40)
    for _ in range(10):
        engine.upsert(records)
    assert engine._table.num_rows <= 40 + 50 + 40
    assert_holds(engine, records)


def test_a_graph_that_grew_from_few_products_is_built_anew(tmp_path: Path) -> None:
    records = records_of(positive_vectors(12_000, 3))
    first = opened(tmp_path, "hnsw")
    first.upsert(records[:2])
    first.finish_bulk()
    first.upsert(records[2:])
    first.close()
    second = opened(tmp_path, "hnsw")
    queries = np.stack([record.vectors["image"] for record in records[:100]])
    assert second._graphs["image"].num_fitted == 2000
    assert recall(second, records, queries) > 0.97
    second.close()
