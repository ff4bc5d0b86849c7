"""Upsert and Delete: what was acknowledged is found at once, also after the process was killed."""

import math
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from aisle_client.v1 import search_pb2
from model.errors import VectorIndexError
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.index.index_folder import open_index
from server.app import AisleServer
from tests.conftest import toy_picture
from tests.server.search.support import (
    IMAGE,
    JOINT,
    NUM_PRODUCTS,
    ROUNDING,
    TEXT,
    WRITE_TOKEN,
    SearchStub,
    Shop,
    by_id,
    by_product,
    delete,
    get_index,
    hits_of,
    offer,
    problem,
    rejected,
    similar,
    upsert,
    with_token,
)
from tests.server.support import open_channel, toy_settings, violations

ALL = 1000


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("Upsert", search_pb2.UpsertRequest(), "offers"),
        ("Upsert", search_pb2.UpsertRequest(offers=[offer("a")] * 513), "offers"),
        ("Delete", search_pb2.DeleteRequest(), "product_ids"),
        ("Delete", search_pb2.DeleteRequest(product_ids=["a"] * 513), "product_ids"),
    ],
)
def test_a_change_of_nothing_or_too_much_is_refused(method: str, request_: Any, field: str, search: SearchStub):
    status = rejected(lambda: getattr(search, method)(request_, timeout=30, metadata=with_token(WRITE_TOKEN)))
    assert (status.code, violations(status)) == (code_pb2.INVALID_ARGUMENT, [field])
    assert status.message.startswith(f"{field}: expected 1 to 512 {field}, found ")


def test_new_and_changed_products_are_found_at_once(search: SearchStub):
    attributes: dict[str, Any] = {"mall": " mall9 ", "price": 5, "group_id": "new", "item_id": "i", "image": "n.jpg"}
    new = offer("new1", "한정판 운동화 270", category=" 신발 > 운동화 ", **attributes)
    assert [result.HasField("error") for result in upsert(search, new).results] == [False]
    [result] = similar(search, by_product(product_name="한정판 운동화 270"), k=1).results
    [hit] = result.hits.hits
    assert (hit.product_id, hit.score) == ("new1", pytest.approx(1, abs=ROUNDING))
    known = {**attributes, "mall": "mall9", "product_name": "한정판 운동화 270", "category": "신발>운동화"}
    assert hit.attributes == search_pb2.OfferAttributes(**known)
    assert hits_of(search, by_id("p1"), k=ALL, filter=search_pb2.ProductFilter(category="신발")) == ["new1"]
    upsert(search, offer("new1", "겨울 장갑", toy_picture((40, 40, 220), 97), price=math.inf))
    [result] = similar(search, by_product(product_name="겨울 장갑"), k=1, space=TEXT).results
    assert result.hits.hits[0].product_id == "new1"
    assert result.hits.hits[0].attributes == search_pb2.OfferAttributes(product_name="겨울 장갑")
    [stored] = similar(search, by_id("new1"), k=ALL).results
    assert (stored.hits.space, len(stored.hits.hits)) == (JOINT, NUM_PRODUCTS - 1)
    assert delete(search, "new1") == 1


def test_bad_offers_fail_alone_and_the_last_of_an_id_counts(search: SearchStub, jpeg: bytes):
    offers = [
        offer("several1", "첫번째 이름"),
        offer("", "이름만"),
        offer("several2", "깨진 사진", b"no picture"),
        offer("several3"),
        offer("several1", "두번째 이름", jpeg),
        offer(" ", "이름만"),
        offer("several4", picture=jpeg),
        offer("several5", "이름", mall="x" * 10_001),
    ]
    results = upsert(search, *offers).results
    assert [result.product_id for result in results] == [one.product.product_id for one in offers]
    assert [result.HasField("error") for result in results] == [False, True, True, True, False, True, False, True]
    for i in (1, 5):
        path = f"offers[{i}].product.product_id"
        text = f"{path}: expected the shop's own key, found none"
        assert problem(results[i].error) == (code_pb2.INVALID_ARGUMENT, [path], text)
    assert violations(results[2].error) == ["offers[2].product.image"]
    assert violations(results[3].error) == ["offers[3].product"]
    text = "offers[7].mall: expected at most 10000 characters, found 10001; cut the text"
    assert problem(results[7].error) == (code_pb2.INVALID_ARGUMENT, ["offers[7].mall"], text)
    first, second, third = similar(search, *(by_id(f"several{i}") for i in (1, 2, 4)), k=ALL).results
    assert (first.hits.space, second.error.code, third.hits.space) == (JOINT, code_pb2.NOT_FOUND, IMAGE)
    [found] = similar(search, by_product(product_name="두번째 이름"), k=1).results
    assert found.hits.hits[0].attributes.product_name == "두번째 이름"
    assert delete(search, "several1", "several2", "several1", "several4") == 2
    assert delete(search, "several1") == 0
    assert [result.error.code for result in similar(search, by_id("several1"), by_id("several4")).results] == (
        [code_pb2.NOT_FOUND] * 2
    )


def test_all_offers_may_be_bad(search: SearchStub):
    before = get_index(search)
    results = upsert(search, offer("bad"), offer("", "name")).results
    assert [result.HasField("error") for result in results] == [True, True]
    assert get_index(search) == before


def test_searches_go_on_while_the_index_changes(search: SearchStub):
    is_over = threading.Event()

    def change() -> int:
        count = 0
        while not is_over.is_set():
            upsert(search, *(offer(f"busy{i}", f"바쁜 상품 {i}") for i in range(20)))
            count += delete(search, *(f"busy{i}" for i in range(20)))
        return count

    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        try:
            for i in range(100):
                assert len(hits_of(search, by_id(f"p{i % NUM_PRODUCTS}"), k=5)) == 5
        finally:
            is_over.set()
        assert changes.result() > 0
        assert changes.result() % 20 == 0


def test_an_index_that_a_server_changes_is_not_replaced_by_a_build(
    server: AisleServer, search: SearchStub, toy_bundle: Path, shop: Shop, toy_cache: Path
):
    build = BuildCommand(toy_bundle, shop.catalog, server.settings.index, engine="openvino", cache_dir=toy_cache)
    message = (
        rf"{server.settings.index} is being changed by the process {os.getpid()}; wait for it, or send the changes"
    )
    with pytest.raises(VectorIndexError, match=message):
        run_build(build)
    assert len(hits_of(search, by_id("p1"))) == 10


def test_requests_of_megabytes_are_answered(search: SearchStub):
    pictures = [toy_picture((40, 40, shade), shade, 1000) for shade in (10, 80, 150, 220)]
    assert sum(map(len, pictures)) > 1024 * 1024
    results = upsert(search, *(offer(f"heavy{i}", picture=picture) for i, picture in enumerate(pictures))).results
    assert [result.HasField("error") for result in results] == [False] * 4
    found = similar(search, *(by_product(image=picture) for picture in pictures), k=1).results
    assert [result.hits.hits[0].product_id for result in found] == [f"heavy{i}" for i in range(4)]
    assert delete(search, *(f"heavy{i}" for i in range(4))) == 4


def test_what_was_acknowledged_is_there_after_a_kill(toy_bundle: Path, index: Path, token_files: tuple[Path, Path]):
    flags = ["--bundle", toy_bundle, "--index", index, "--write-token-file", token_files[1], "--engine", "openvino"]
    command = [sys.executable, "-m", "server", *map(str, flags), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if "listening on 127.0.0.1:" in line)
        with grpc.insecure_channel(line.split()[-1]) as channel:
            search = SearchStub(channel)
            for i in range(30):
                upsert(search, offer(f"kept{i}", f"남은 상품 {i}"))
            assert delete(search, "p1", "kept7") == 2
            process.send_signal(signal.SIGKILL)
        process.stderr.read()
    settings = toy_settings(toy_bundle, index=str(index), write_token_file=token_files[1])
    server = AisleServer(settings)
    server.start()
    with open_channel(server) as channel:
        search = SearchStub(channel)
        assert get_index(search).num_products == NUM_PRODUCTS + 28
        kept = [i for i in range(30) if i != 7]
        found = similar(search, *(by_product(product_name=f"남은 상품 {i}") for i in kept), k=1).results
        assert [result.hits.hits[0].product_id for result in found] == [f"kept{i}" for i in kept]
        gone = similar(search, by_id("p1"), by_id("kept7")).results
        assert [result.error.code for result in gone] == [code_pb2.NOT_FOUND] * 2
        upsert(search, offer("last", "마지막 상품"))
    server.stop(grace_s=5)
    with open_index(str(index)) as engine:
        assert len(engine) == NUM_PRODUCTS + 29
        assert engine.get(["last"])[0] is not None
