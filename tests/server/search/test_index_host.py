"""The pairs of index and model that are served, in turn: real indexes, and models that say whose vectors they make."""

import dataclasses
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from model.bundle.writing import derive_bundle
from model.errors import VectorIndexError
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.embedding.description import EmbeddingDescription, write_embedding
from retrieval.index.index_folder import DESCRIPTION_FILE, open_index
from server.app import AisleServer
from server.errors import StoppingError
from server.models.registry import ModelRegistry, ServedModel
from server.search.index_host import IndexHost
from server.settings import ServerSettings
from tests.server.search.support import SearchStub, Shop, by_id, by_product, similar
from tests.server.support import (
    add_version,
    engine_processes,
    is_running,
    open_channel,
    serving,
    wait_for,
)

POLL_S = 0.01


class NamedPool:
    """A stand-in for an engine pool that says whose vectors it makes and whether it is closed."""

    def __init__(self, checksum: str):
        self.description = SimpleNamespace(embedding_checksum=checksum)
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def model_of(version: str, checksum: str) -> ServedModel:
    return ServedModel("shop", version, cast(Any, NamedPool(checksum)))


def is_closed(model: ServedModel) -> bool:
    return cast(NamedPool, model.pool).closed.is_set()


def change_description(index: Path, **changes: Any) -> Path:
    path = index / DESCRIPTION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return index


@pytest.fixture
def copies(built_index: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes an index in a folder of indexes, of the vectors with a checksum; it appears whole."""

    def copy(name: str, checksum: str, **changes: Any) -> Path:
        partial = Path(shutil.copytree(built_index, tmp_path / f"indexes/.{name}.partial"))
        change_description(partial, embedding_checksum=checksum, **changes)
        return partial.rename(tmp_path / "indexes" / name)

    return copy


@pytest.fixture
def registry() -> ModelRegistry:
    """With version 1, whose vectors are `one`."""
    registry = ModelRegistry()
    registry.publish("shop", [model_of("1", "one")])
    return registry


@pytest.fixture
def hosts(registry: ModelRegistry, tmp_path: Path) -> Iterator[Callable[..., IndexHost]]:
    """Opens hosts of the folder of indexes, which look for newer pairs all the time."""
    opened = []

    def host(location: Path = tmp_path / "indexes", writes: bool = False) -> IndexHost:
        host = IndexHost(str(location), registry, writes)
        host.open()
        host.start(POLL_S)
        opened.append(host)
        return host

    yield host
    for host_ in opened:
        host_.close()


def served(host: IndexHost) -> tuple[str, str]:
    """Folder of the index and version of the model."""
    with host.lease() as pair:
        return Path(pair.location).name, pair.model.version


def test_the_newest_version_with_an_index_is_served(hosts, copies, registry: ModelRegistry):
    copies("a", "one")
    copies("b", "two")
    registry.publish("shop", [model_of("3", "three"), model_of("2", "two"), model_of("1", "one")])
    assert served(hosts()) == ("b", "2")


def test_of_several_indexes_of_the_same_vectors_the_last_is_served(hosts, copies):
    copies("2026-01", "one")
    host = hosts()
    assert served(host) == ("2026-01", "1")
    copies("2026-02", "one")
    wait_for(lambda: served(host) == ("2026-02", "1"))


def test_an_index_that_is_still_being_made_is_not_served(hosts, copies):
    index = copies("a", "one")
    index.rename(index.with_name(".a.partial"))
    with pytest.raises(VectorIndexError, match=r"indexes is no index: index\.json cannot be read"):
        hosts()
    copies("0", "one")
    assert served(hosts()) == ("0", "1")


def test_a_single_index_is_served_too(hosts, copies):
    index = copies("a", "one")
    assert served(hosts(index)) == ("a", "1")


@pytest.mark.parametrize("single", [True, False])
def test_an_index_of_another_bundle_is_refused(single: bool, hosts, copies):
    index = copies("a", "0123456789abcdef")
    message = (
        rf"^expected an index of the vectors of shop 1 \(one\), found {index} \(0123456789ab\); build one with python"
        " -m retrieval build --bundle, or serve the bundle of the index$"
    )
    with pytest.raises(VectorIndexError, match=message):
        hosts(index if single else index.parent)


def test_a_folder_without_an_index_is_named(hosts, tmp_path: Path):
    message = r"no-such is no index: index.json cannot be read \(No such file or directory\); give the folder that"
    with pytest.raises(VectorIndexError, match=message):
        hosts(tmp_path / "no-such")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VectorIndexError, match=r"empty is no index: index\.json cannot be read"):
        hosts(tmp_path / "empty")


def test_an_index_that_another_process_changes_is_refused(hosts, copies):
    index = copies("a", "one")
    with open_index(str(index), writes=True), pytest.raises(VectorIndexError, match="is being changed by the process"):
        hosts(index, writes=True)
    assert served(hosts(index, writes=True)) == ("a", "1")


def test_a_version_without_an_index_changes_nothing(
    hosts, copies, registry: ModelRegistry, caplog: pytest.LogCaptureFixture
):
    copies("a", "one")
    host = hosts()
    [old] = registry
    registry.publish("shop", [model_of("2", "two")])
    wait_for(lambda: "expected an index of the vectors of shop 2 (two), found " in caplog.text)
    threading.Event().wait(5 * POLL_S)
    assert served(host) == ("a", "1")
    assert not is_closed(old)
    assert caplog.text.count("expected an index of the vectors of shop 2") == 1


def test_the_index_of_a_newer_version_is_served_when_it_appears_and_the_older_pair_is_let_go(
    hosts, copies, registry: ModelRegistry
):
    first = copies("a", "one")
    host = hosts(writes=True)
    [old] = registry
    registry.publish("shop", [model_of("2", "two")])
    with host.lease() as before:
        copies("b", "two")
        wait_for(lambda: served(host) == ("b", "2"))
        threading.Event().wait(5 * POLL_S)
        assert (before.model, is_closed(old)) == (old, False)
        assert before.engine.get(["p1"])[0] is not None
    wait_for(lambda: is_closed(old))
    with open_index(str(first), writes=True) as engine:  # its lock is free
        assert engine.get(["p1"])[0] is not None


def test_work_on_a_thread_keeps_an_index_open_when_its_call_has_ended(hosts, copies, registry: ModelRegistry):
    copies("a", "one")
    host = hosts()
    [old] = registry
    goes_on = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        with host.lease() as before:
            work = threads.submit(lambda: goes_on.wait(30) and before.engine.get(["p1"])[0])
            host.keep_open(before, work)
        registry.publish("shop", [model_of("2", "two")])
        copies("b", "two")
        wait_for(lambda: served(host) == ("b", "2"))
        threading.Event().wait(5 * POLL_S)
        assert not is_closed(old)
        goes_on.set()
        assert work.result(30) is not None
    wait_for(lambda: is_closed(old))


@pytest.mark.parametrize("version", ["1", "2"], ids=["loaded anew", "newer"])
def test_an_open_index_is_kept_for_another_model_of_the_same_vectors(
    version: str, hosts, copies, registry: ModelRegistry
):
    copies("a", "one")
    host = hosts(writes=True)
    [old] = registry
    with host.lease() as pair:
        engine = pair.engine
    registry.publish("shop", [model_of(version, "one")])
    wait_for(lambda: is_closed(old))
    [new] = registry
    with host.lease() as pair:
        assert (pair.engine, pair.model) == (engine, new)
        assert pair.engine.delete(["p1"]) == 1


def test_an_index_that_was_built_anew_in_its_place_is_served(hosts, copies):
    index = copies("a", "one")
    host = hosts(index)
    newer = copies("b", "one", created="2030-01-01T00:00:00+00:00")
    with open_index(str(newer), writes=True) as engine:
        engine.delete(["p1"])
    index.rename(index.with_name("older"))
    newer.rename(index)

    def holds_p1() -> bool:
        with host.lease() as pair:
            return pair.engine.get(["p1"])[0] is not None

    wait_for(lambda: not holds_p1())


def test_a_damaged_index_keeps_no_other_from_being_served(hosts, copies, caplog: pytest.LogCaptureFixture):
    copies("a", "one")
    damaged = copies("b", "one")
    (damaged / DESCRIPTION_FILE).write_text("{")
    host = hosts()
    assert served(host) == ("a", "1")
    assert f"an index is left out: {damaged / DESCRIPTION_FILE} is damaged: " in caplog.text
    copies("c", "one")
    wait_for(lambda: served(host) == ("c", "1"))


def test_the_index_before_answers_on_where_the_newer_one_cannot_be_opened(
    hosts, copies, registry: ModelRegistry, caplog: pytest.LogCaptureFixture
):
    copies("a", "one")
    host = hosts()
    broken = copies("b", "two")
    (broken / "products.sqlite").write_bytes(b"no database" * 100)
    registry.publish("shop", [model_of("2", "two")])
    wait_for(lambda: "the index of a newer version cannot be served: " in caplog.text)
    assert "could not be opened: file is not a database; check the path and the disk; the one before" in caplog.text
    assert served(host) == ("a", "1")


def test_a_closed_host_lends_nothing(hosts, copies, registry: ModelRegistry):
    index = copies("a", "one")
    host = hosts(index, writes=True)
    host.close()
    with pytest.raises(StoppingError, match="the server is stopping; send the request to another one"), host.lease():
        pass
    with open_index(str(index), writes=True):
        assert host.current is None


def test_a_server_with_an_index_of_another_bundle_does_not_start(
    search_settings: ServerSettings, copies, tmp_path: Path
):
    index = copies("a", "0123456789abcdef")
    with pytest.raises(VectorIndexError, match=r"expected an index of the vectors of toy 1 \(\w{12}\), found"):
        AisleServer(dataclasses.replace(search_settings, index=str(index))).start()
    assert "rpc" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def second_version(toy_bundle: Path, tmp_path: Path) -> Path:
    """The toy bundle with other vectors of pictures and texts together."""

    def change(folder: Path) -> None:
        write_embedding(folder, EmbeddingDescription(is_mirrored=True, text_weight=0.9))

    derive_bundle(toy_bundle, tmp_path / "second", change)
    return tmp_path / "second"


def test_calls_go_on_while_a_new_version_waits_for_its_index(
    watch_settings: ServerSettings,
    models: Path,
    second_version: Path,
    built_index: Path,
    shop: Shop,
    toy_cache: Path,
    tmp_path: Path,
):
    shutil.copytree(built_index, tmp_path / "indexes/1")
    server = AisleServer(dataclasses.replace(watch_settings, index=str(tmp_path / "indexes")))
    server.start()
    queries = [by_id("p1"), by_product(product_name="새 상품", image=shop.picture("p1"))]
    versions = []

    def asked() -> Any:
        response = similar(search, *queries)
        assert [len(result.hits.hits) for result in response.results] == [10, 10]
        versions.append(response.model_version)
        return response

    with open_channel(server) as channel:
        search = SearchStub(channel)
        before = asked()
        [old] = engine_processes(server)
        add_version(second_version, models / "shop/2")
        wait_for(lambda: asked() and serving(server.models) == {"shop": "2"})
        assert asked().model_version == "1"
        os.kill(old, signal.SIGSTOP)  # the version that waits is watched on: its process is ended and started anew
        assert asked().model_version == "1"
        assert not is_running(old)
        index = tmp_path / "indexes/2"
        run_build(BuildCommand(second_version, shop.catalog, str(index), engine="openvino", cache_dir=toy_cache))
        wait_for(lambda: asked().model_version == "2")
        after = asked()
        wait_for(lambda: not [model for model in server.models.in_use() if model.version == "1"])
    assert versions == sorted(versions)
    assert before.results[1].hits.hits[0].score != pytest.approx(after.results[1].hits.hits[0].score, abs=1e-3)
    server.stop(grace_s=5)
