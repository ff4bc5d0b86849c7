"""Similar, Upsert, Delete and GetIndex of a real server: what is found, and what becomes of each query and offer."""

import math
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import code_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import search_pb2
from retrieval.embedding.embedder import Embedder
from retrieval.index.record import Space
from server.app import AisleServer
from server.messages.undecodable_text import bytes_class
from server.search import SEARCH_SERVICE
from server.settings import ServerSettings
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
from tests.server.support import png, scrape, values

NAMES: dict[search_pb2.Space, Space] = {IMAGE: "image", TEXT: "text", JOINT: "joint"}
ALL = 1000
ITEM = ("p9", "p21")
SHIRT = "의류>상의>티셔츠"


def is_right(result: search_pb2.SimilarResult, scores: dict[str, float], count: int, left_out: str = "") -> bool:
    """Whether hits are the best ones with their scores, best first, an item once."""
    left_out_ids = {left_out, min(ITEM, key=lambda product_id: scores.get(product_id, 0.0))}
    expected = {product_id: score for product_id, score in scores.items() if product_id not in left_out_ids}
    found = [(hit.product_id, hit.score) for hit in result.hits.hits]
    best = sorted(expected.values(), reverse=True)[:count]
    return (
        len(found) == count
        and [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        and np.allclose([score for _, score in found], best, atol=ROUNDING)
        and all(math.isclose(score, scores[product_id], abs_tol=ROUNDING) for product_id, score in found)
        and sum(product_id in ITEM for product_id, _ in found) <= 1
        and left_out not in dict(found)
    )


def test_a_product_of_the_index_finds_the_nearest_without_itself(search: SearchStub, shop: Shop, embedder: Embedder):
    response = similar(search, by_id("p1"), by_id("p4"))
    assert (response.model, response.model_version) == ("toy", "1")
    assert response.total_ms > 0
    joint, text = response.results
    assert (joint.hits.space, text.hits.space) == (JOINT, TEXT)  # p4 has no picture
    assert is_right(joint, shop.scores(embedder, shop.message("p1"), "joint"), 10, "p1")
    assert is_right(text, shop.scores(embedder, shop.message("p4"), "text"), 10, "p4")


@pytest.mark.parametrize(
    ("given", "space"),
    [(("product_name",), TEXT), (("image",), IMAGE), (("product_name", "image"), JOINT)],
    ids=["text", "picture", "both"],
)
def test_a_product_from_outside_is_compared_by_what_it_has(
    given: tuple[str, ...], space: search_pb2.Space, search: SearchStub, shop: Shop, embedder: Embedder
):
    fields = {"product_name": "반팔 티셔츠 새 상품", "image": toy_picture((40, 40, 220), 99)}
    asked = pb.Product(**{name: fields[name] for name in given})
    [result] = similar(search, search_pb2.SimilarQuery(product=asked)).results
    assert result.hits.space == space
    assert is_right(result, shop.scores(embedder, asked, NAMES[space]), 10)


@pytest.mark.parametrize("space", [IMAGE, TEXT, JOINT])
def test_the_space_can_be_chosen(space: search_pb2.Space, search: SearchStub, shop: Shop, embedder: Embedder):
    asked = pb.Product(product_name="게이밍 laptop", image=toy_picture((60, 200, 60), 98))
    stored, outside = similar(search, by_id("p1"), search_pb2.SimilarQuery(product=asked), space=space, k=ALL).results
    scores = shop.scores(embedder, asked, NAMES[space])
    assert len(scores) == (NUM_PRODUCTS * 3 // 4 if space == IMAGE else NUM_PRODUCTS)
    assert (stored.hits.space, outside.hits.space) == (space, space)
    num_hits = len(scores) - 1  # two are pictures of one item
    assert is_right(stored, shop.scores(embedder, shop.message("p1"), NAMES[space]), num_hits - 1, "p1")
    assert is_right(outside, scores, num_hits)


def test_k_hits_are_found(search: SearchStub):
    assert [len(hits_of(search, by_id("p1"), k=k)) for k in (0, 1, 3, ALL)] == [10, 1, 3, NUM_PRODUCTS - 2]


def test_a_server_without_a_matcher_compares_no_pairs(search: SearchStub):
    request = search_pb2.SameProductRequest(pairs=[search_pb2.ProductPair(left_id="p0", right_id="p1")])
    status = rejected(lambda: search.SameProduct(request, timeout=30))
    assert status.code == code_pb2.UNIMPLEMENTED
    assert status.message == "this server has no matcher; start it with --matcher DIR"
    assert not get_index(search).HasField("matcher")


def test_a_hit_has_what_the_catalog_says_of_it(search: SearchStub, shop: Shop):
    [result] = similar(search, by_id("p1"), k=ALL).results
    found = {hit.product_id: hit.attributes for hit in result.hits.hits}
    for row in shop.rows:
        attributes = found.get(row["product_id"])
        if attributes is None:
            continue
        for name in ("product_name", "category", "brand", "mall", "group_id", "item_id"):
            assert getattr(attributes, name) == row[name]
        assert attributes.HasField("price") == bool(row["price"])
        assert attributes.price == float(row["price"] or 0)
        assert attributes.image.endswith(row.get("image", ""))


def test_entries_of_one_item_are_one_hit(search: SearchStub):
    assert len(set(ITEM) & set(hits_of(search, by_id("p3"), k=ALL))) == 1
    assert not set(ITEM) & set(hits_of(search, by_id("p9"), k=ALL))


@pytest.mark.parametrize(
    ("condition", "meets"),
    [
        ({}, lambda row: True),
        ({"category": "의류"}, lambda row: row["category"].startswith("의류>")),
        ({"category": " 의류 > 상의 "}, lambda row: row["category"] == SHIRT),
        ({"brands": ["brand1"]}, lambda row: row["brand"] == "brand1"),
        ({"brands": ["brand1", "brand2", "none"]}, lambda row: row["brand"] in ("brand1", "brand2")),
        ({"malls": ["mall1"]}, lambda row: row["mall"] == "mall1"),
        ({"min_price": 1300}, lambda row: row["price"] and float(row["price"]) >= 1300),
        ({"max_price": 1300}, lambda row: row["price"] and float(row["price"]) <= 1300),
        ({"min_price": 500, "max_price": 500}, lambda row: row["price"] == "500"),
        (
            {"category": "의류", "brands": ["brand1"], "malls": ["mall1"], "min_price": 0},
            lambda row: row["category"] != "디지털>노트북" and row["brand"] == "brand1" and row["mall"] == "mall1",
        ),
        ({"category": "의"}, lambda row: False),
        ({"malls": ["MALL1"]}, lambda row: False),
    ],
    ids=["none", "category", "spaced", "brand", "brands", "mall", "from", "to", "price", "all", "half", "letter"],
)
def test_every_hit_meets_the_filter(condition: dict[str, Any], meets: Any, search: SearchStub, shop: Shop):
    found = hits_of(search, by_product(product_name="새 상품"), k=ALL, filter=search_pb2.ProductFilter(**condition))
    expected = shop.ids(meets)
    assert set(found) | (set(ITEM) & expected) == expected
    assert len(found) == len(expected - {"p21"} if "p9" in expected else expected)


def test_the_same_product_is_left_out_where_that_is_asked_for(search: SearchStub, shop: Shop):
    assert "p19" in hits_of(search, by_id("p1"), k=ALL)
    assert "p19" not in hits_of(search, by_id("p1"), k=ALL, exclude_same_product=True)
    outside = by_product("g1", product_name="새 상품")
    assert {"p1", "p19"} <= set(hits_of(search, outside, k=ALL))
    assert not {"p1", "p19"} & set(hits_of(search, outside, k=ALL, exclude_same_product=True))
    unknown = by_product(product_name="새 상품")
    assert {"p1", "p19"} <= set(hits_of(search, unknown, k=ALL, exclude_same_product=True))


def test_a_product_from_outside_does_not_find_its_own_id(search: SearchStub, shop: Shop):
    assert hits_of(search, by_product(product_name=shop.message("p5").product_name))[0] == "p5"
    assert "p5" not in hits_of(search, search_pb2.SimilarQuery(product=shop.message("p5")), k=ALL)


def test_diverse_hits_are_less_like_each_other(search: SearchStub, shop: Shop, embedder: Embedder):
    def likeness(ids: list[str]) -> float:
        scores = [shop.scores(embedder, shop.message(product_id), "joint") for product_id in ids]
        return sum(one[other] for one in scores for other in ids) / len(ids) ** 2

    nearest, diverse = (hits_of(search, by_id("p1"), k=5, diversity=diversity) for diversity in (0.0, 0.7))
    assert diverse[0] == nearest[0]
    assert len(diverse) == 5
    assert likeness(diverse) < likeness(nearest) - 0.01


def test_each_query_has_its_own_outcome_in_order(search: SearchStub, jpeg: bytes):
    queries = [
        by_id("p1"),
        by_product(image=b"no picture", product_name="broken"),
        by_id("unknown"),
        by_product(product_id="empty"),
        search_pb2.SimilarQuery(),
        by_product(product_name="x" * 10_001),
        by_product(product_name="새 상품", image=jpeg),
        by_id(""),
        by_id("p2"),
    ]
    results = similar(search, *queries, k=1).results
    assert [result.WhichOneof("outcome") for result in results] == (["hits", *["error"] * 5, "hits", "error", "hits"])
    text = "expected a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC picture, found 10 bytes of none of them"
    assert problem(results[1].error) == (code_pb2.INVALID_ARGUMENT, ["queries[1].product.image"], text)
    text = "queries[2].product_id: the index has no product 'unknown'; upsert it first"
    assert problem(results[2].error) == (code_pb2.NOT_FOUND, ["queries[2].product_id"], text)
    text = "expected something for a vector of image or text or joint, found none of it"
    assert problem(results[3].error) == (code_pb2.INVALID_ARGUMENT, ["queries[3].product"], text)
    for i in (4, 7):
        text = f"queries[{i}]: expected a product_id or a product, found neither"
        assert problem(results[i].error) == (code_pb2.INVALID_ARGUMENT, [f"queries[{i}]"], text)
    text = "expected at most 10000 characters, found 10001; cut the text"
    assert problem(results[5].error) == (code_pb2.INVALID_ARGUMENT, ["queries[5].product.product_name"], text)
    assert results[8].hits.hits[0].product_id == hits_of(search, by_id("p2"), k=1)[0]


def test_a_product_without_a_vector_in_the_space_is_an_error_of_its_query(search: SearchStub, jpeg: bytes):
    outside = by_product(product_name="새 상품")
    stored, text, picture = similar(search, by_id("p4"), outside, by_product(image=jpeg), space=IMAGE).results
    message = "queries[0]: the product has no vector of image; ask for another space"
    assert problem(stored.error) == (code_pb2.INVALID_ARGUMENT, ["queries[0]"], message)
    message = "expected something for a vector of image, found none of it"
    assert problem(text.error) == (code_pb2.INVALID_ARGUMENT, ["queries[1].product"], message)
    assert picture.HasField("hits")


def test_a_request_that_is_cut_into_parts_is_answered_in_order(search: SearchStub, shop: Shop):
    names = [row["product_name"] for row in shop.rows]
    queries = [
        by_product(product_name=name) if i % 3 else by_id(f"p{i}")
        for i, name in enumerate(names * 4)
        if i < NUM_PRODUCTS or i % 3
    ]
    results = similar(search, *queries, k=1, space=TEXT).results
    alone = {name: hits_of(search, by_product(product_name=name), k=1, space=TEXT) for name in names}
    assert len(results) == len(queries)
    for query, result in zip(queries, results, strict=True):
        if query.HasField("product"):
            assert [hit.product_id for hit in result.hits.hits] == alone[query.product.product_name]
        else:
            assert result.hits.hits[0].product_id != query.product_id


def test_large_pictures_are_answered(search: SearchStub, jpeg: bytes):
    large, small = by_product(image=png(2500, 2000)), by_product(image=jpeg)
    results = similar(search, small, large, by_id("p1"), large, k=2).results
    assert [len(result.hits.hits) for result in results] == [2] * 4
    assert [hit.product_id for hit in results[1].hits.hits] == [hit.product_id for hit in results[3].hits.hits]


def test_a_picture_over_the_server_s_limit_is_an_error_of_its_query(search: SearchStub, jpeg: bytes):
    over, good = similar(search, by_product(image=png(3000, 2001)), by_product(image=jpeg)).results
    text = "expected at most 6000000 pixels, the header announces 3000 x 2001; send a smaller picture"
    assert problem(over.error) == (code_pb2.INVALID_ARGUMENT, ["queries[0].product.image"], text)
    assert good.HasField("hits")


@pytest.mark.parametrize(
    ("request_", "field", "text"),
    [
        ({"queries": []}, "queries", "expected 1 to 512 queries, found none"),
        ({"queries": [by_id("p1")] * 513}, "queries", "expected 1 to 512 queries, found 513; split the request"),
        ({"queries": [by_id("")] * 40_000}, "queries", "expected 1 to 512 queries, found more; split the request"),
        ({"k": -1}, "k", "expected 1 to 1000, or 0 for 10; found -1"),
        ({"k": 1001}, "k", "expected 1 to 1000, or 0 for 10; found 1001"),
        ({"diversity": 1.0}, "diversity", "expected 0 to below 1, found 1.0"),
        ({"diversity": -0.1}, "diversity", "expected 0 to below 1, found -0.1"),
        ({"diversity": math.nan}, "diversity", "expected 0 to below 1, found nan"),
        (
            {"filter": search_pb2.ProductFilter(min_price=2, max_price=1)},
            "filter.min_price",
            "expected at most max_price (1), found 2",
        ),
        (
            {"filter": search_pb2.ProductFilter(min_price=math.nan)},
            "filter.min_price",
            "expected at most max_price (inf), found nan",
        ),
        ({"space": 7}, "space", "expected SPACE_IMAGE, SPACE_TEXT, SPACE_JOINT, found 7"),
    ],
    ids=["none", "many", "very many", "k", "large k", "diversity", "low", "nan", "price", "nan price", "space"],
)
def test_a_request_that_is_wrong_as_a_whole_names_the_field(
    request_: dict[str, Any], field: str, text: str, search: SearchStub
):
    request = search_pb2.SimilarRequest(**{"queries": [by_id("p1")], **request_})
    status = rejected(lambda: search.Similar(request, timeout=30))
    assert problem(status) == (code_pb2.INVALID_ARGUMENT, [field], f"{field}: {text}")


@pytest.mark.parametrize("method", ["Similar", "Upsert", "Delete", "GetIndex"])
def test_malformed_bytes_are_an_invalid_request(method: str, channel: grpc.Channel):
    call = channel.unary_unary(f"/{SEARCH_SERVICE}/{method}")
    status = rejected(lambda: call(b"\xff\xff\xff", timeout=30, metadata=with_token(WRITE_TOKEN)))
    text = "request: expected a message of aisle.v1, found malformed bytes"
    assert problem(status) == (code_pb2.INVALID_ARGUMENT, ["request"], text)


NOT_UTF8 = "expected UTF-8, found bytes that are not; encode the text again"
CP949_NAME = "노트북 가방".encode("cp949")


def test_a_text_that_is_not_utf8_is_an_error_of_its_query(search: SearchStub, channel: grpc.Channel):
    queries = [
        {"product_id": b"p1"},
        {"product_id": CP949_NAME},
        {"product": {"product_id": b"1", "product_name": CP949_NAME}},
        {"product_id": b"p2"},
    ]
    content = bytes_class("SimilarRequest")(queries=queries, k=3).SerializeToString()
    call = channel.unary_unary(f"/{SEARCH_SERVICE}/Similar")
    results = search_pb2.SimilarResponse.FromString(call(content, timeout=30)).results
    for i, path in ((1, "queries[1].product_id"), (2, "queries[2].product.product_name")):
        assert problem(results[i].error) == (code_pb2.INVALID_ARGUMENT, [path], f"{path}: {NOT_UTF8}")
    for i, product_id in ((0, "p1"), (3, "p2")):
        assert [hit.product_id for hit in results[i].hits.hits] == hits_of(search, by_id(product_id), k=3)


def test_a_text_that_is_not_utf8_is_an_error_of_its_offer(search: SearchStub, channel: grpc.Channel):
    products = [{"product_id": b"good", "product_name": b"a"}, {"product_id": b"bad", "product_name": b"b"}]
    offers = [{"product": products[0]}, {"product": products[1], "mall": CP949_NAME}]
    content = bytes_class("UpsertRequest")(offers=offers).SerializeToString()
    call = channel.unary_unary(f"/{SEARCH_SERVICE}/Upsert")
    answer = call(content, timeout=30, metadata=with_token(WRITE_TOKEN))
    good, bad = search_pb2.UpsertResponse.FromString(answer).results
    assert not good.HasField("error")
    assert problem(bad.error) == (code_pb2.INVALID_ARGUMENT, ["offers[1].mall"], f"offers[1].mall: {NOT_UTF8}")
    assert delete(search, "good", "bad") == 1


def test_an_id_that_is_not_utf8_deletes_nothing(channel: grpc.Channel):
    content = bytes_class("DeleteRequest")(product_ids=[b"p1", CP949_NAME]).SerializeToString()
    call = channel.unary_unary(f"/{SEARCH_SERVICE}/Delete")
    status = rejected(lambda: call(content, timeout=30, metadata=with_token(WRITE_TOKEN)))
    path = "product_ids[1]"
    assert problem(status) == (code_pb2.INVALID_ARGUMENT, [path], f"{path}: {NOT_UTF8}")


def test_the_index_describes_itself(search: SearchStub, embedder: Embedder):
    index = get_index(search)
    assert (index.model, index.model_version, index.embedding_checksum) == ("toy", "1", embedder.checksum)
    assert (index.num_products, index.engine, index.is_writable) == (NUM_PRODUCTS, "hnsw", True)
    limits = index.limits
    assert (limits.max_items, limits.max_k, limits.max_request_bytes) == (512, 1000, ServerSettings.max_message_bytes)
    spaces = {NAMES[space.space]: (space.dim, space.num_vectors) for space in index.spaces}
    assert spaces == {
        space: (dim, NUM_PRODUCTS * 3 // 4 if space == "image" else NUM_PRODUCTS)
        for space, dim in embedder.dims.items()
    }
    assert all(0.9 <= space.recall <= 1 for space in index.spaces)
    upsert(search, offer("counted", "이름"))
    changed = get_index(search)
    assert changed.num_products == NUM_PRODUCTS + 1
    assert [space.num_vectors for space in changed.spaces] == [NUM_PRODUCTS * 3 // 4, *[NUM_PRODUCTS + 1] * 2]
    delete(search, "counted")


def test_health_and_reflection_know_the_search(channel: grpc.Channel):
    request = health_pb2.HealthCheckRequest(service=SEARCH_SERVICE)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert health_pb2_grpc.HealthStub(channel).Check(request, timeout=30).status == serving
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SEARCH_SERVICE),
    ]
    listed, described = reflection.ServerReflectionInfo(iter(requests), timeout=30)
    assert "aisle.v1.ProductSearch" in {service.name for service in listed.list_services_response.service}
    assert described.file_descriptor_response.file_descriptor_proto


def test_calls_searches_and_products_are_counted(server: AisleServer, search: SearchStub):
    def grown(name: str) -> dict[tuple[str, ...], float]:
        found = {key[1:]: value - before.get(key, 0) for key, value in values(scrape(server)).items() if key[0] == name}
        return {labels: value for labels, value in found.items() if value}

    before = values(scrape(server))
    similar(search, by_id("p1"), by_id("p2"))
    similar(search, by_product(product_name="새 상품"))
    get_index(search)
    rejected(lambda: similar(search))
    rejected(lambda: delete(search, "p1", token="no"))
    upsert(search, offer("counted", "이름"))
    assert grown("aisle_calls_total") == {
        ("OK", "Similar"): 2,
        ("INVALID_ARGUMENT", "Similar"): 1,
        ("OK", "GetIndex"): 1,
        ("OK", "Upsert"): 1,
        ("PERMISSION_DENIED", "Delete"): 1,
    }
    assert grown("aisle_rejections_total") == {("INVALID_REQUEST",): 1, ("NOT_ALLOWED",): 1}
    assert grown("aisle_search_duration_seconds_count") == {(): 2}
    assert grown("aisle_index_products") == {("toy", "1"): 1}
    assert values(scrape(server))["aisle_index_products", "toy", "1"] == NUM_PRODUCTS + 1
    assert delete(search, "counted") == 1
