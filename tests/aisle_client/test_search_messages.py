from collections.abc import Callable

import pytest
from google.rpc import code_pb2

from aisle_client import Failure, Hit, Hits, InputError, Offer, Product, SearchFilter
from aisle_client.messages import RequestLimits
from aisle_client.search_messages import (
    MAX_HITS_PER_RESPONSE,
    delete_requests,
    not_one_text,
    read_similar,
    read_upsert,
    similar_head,
    similar_requests,
    upsert_requests,
)
from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import search_pb2

HEAD = similar_head(7, "joint", SearchFilter(brands=("Acme",)), True, 0.25)


def test_a_query_is_an_id_a_product_or_an_offer_with_its_group():
    offer = Offer(Product("2", "shirt"), "A>B", "north", 5.0, group_id="g")
    [request] = similar_requests(["1", Product("2", "shirt", image=b"x"), offer], HEAD, RequestLimits())
    assert list(request.queries) == [
        search_pb2.SimilarQuery(product_id="1"),
        search_pb2.SimilarQuery(product=pb.Product(product_id="2", product_name="shirt", image=b"x")),
        search_pb2.SimilarQuery(product=pb.Product(product_id="2", product_name="shirt"), group_id="g"),
    ]


def test_long_lists_are_cut_in_order_and_each_request_says_all():
    requests = list(similar_requests((str(i) for i in range(25)), HEAD, RequestLimits(max_products=10)))
    assert [len(request.queries) for request in requests] == [10, 10, 5]
    assert [query.product_id for request in requests for query in request.queries] == [str(i) for i in range(25)]
    for request in requests:
        del request.queries[:]
        assert request == search_pb2.SimilarRequest(
            k=7,
            space=search_pb2.SPACE_JOINT,
            filter=search_pb2.ProductFilter(brands=["Acme"]),
            exclude_same_product=True,
            diversity=0.25,
        )


@pytest.mark.parametrize(("k", "num_queries"), [(0, 512), (1, 512), (1000, 50), (MAX_HITS_PER_RESPONSE * 2, 1)])
def test_many_hits_a_query_make_few_queries_a_request(k: int, num_queries: int):
    head = similar_head(k, "", None, False, 0)
    requests = similar_requests(map(str, range(600)), head, RequestLimits())
    assert len(next(requests).queries) == num_queries


def test_pictures_close_a_request_before_it_grows_too_large():
    offers = [Offer(Product(str(i), image=bytes(size))) for i, size in enumerate([400, 400, 400, 5000, 100])]
    requests = list(upsert_requests(offers, RequestLimits(max_bytes=1000)))
    ids = [[offer.product.product_id for offer in request.offers] for request in requests]
    assert ids == [["0", "1"], ["2"], ["3"], ["4"]]
    assert [request.ByteSize() <= 1000 for request in requests] == [True, True, False, True]


def test_ids_to_delete_are_cut_by_number_and_bytes():
    requests = delete_requests(["a" * 60, "b" * 60, "c", "d", "e"], RequestLimits(max_products=3, max_bytes=100))
    assert [list(request.product_ids) for request in requests] == [["a" * 60], ["b" * 60, "c", "d"], ["e"]]


@pytest.mark.parametrize("cut", [upsert_requests, delete_requests])
def test_nothing_makes_no_request(cut: Callable):
    assert list(cut([], RequestLimits())) == []
    assert list(similar_requests([], HEAD, RequestLimits())) == []


def test_an_offer_goes_over_with_all_it_says():
    offer = Offer(Product("1", "shirt", brand="Acme"), "A>B", "north", 0.0, "g", "i", "http://shop/1.jpg")
    [request] = upsert_requests([offer], RequestLimits())
    assert request.offers[0] == search_pb2.Offer(
        product=pb.Product(product_id="1", product_name="shirt", brand="Acme"),
        category="A>B",
        mall="north",
        price=0.0,
        group_id="g",
        item_id="i",
        image="http://shop/1.jpg",
    )
    [request] = upsert_requests([Offer(Product("1"))], RequestLimits())
    assert not request.offers[0].HasField("price")


def test_a_filter_goes_over_and_a_bound_of_zero_is_a_bound():
    condition = similar_head(1, "", SearchFilter("A>B", ("Acme", "Bolt"), ("north",), 0.0, 9.5), False, 0).filter
    assert condition == search_pb2.ProductFilter(
        category="A>B", brands=["Acme", "Bolt"], malls=["north"], min_price=0.0, max_price=9.5
    )
    assert condition.HasField("min_price")
    unbound = similar_head(1, "", None, False, 0).filter
    assert not unbound.HasField("min_price")
    assert not unbound.HasField("max_price")


def test_a_response_becomes_hits_and_failures_in_order():
    queries = ["1", Product("2", "shirt"), "3", Product("")]
    [request] = similar_requests(queries, HEAD, RequestLimits())
    response = search_pb2.SimilarResponse()
    found = response.results.add().hits
    found.space = search_pb2.SPACE_TEXT
    attributes = search_pb2.OfferAttributes(
        product_name="shirt", category="A>B", brand="Acme", mall="north", price=0, group_id="g", item_id="i", image="x"
    )
    found.hits.add(product_id="7", score=0.75, attributes=attributes)
    found.hits.add(product_id="8", score=-0.5)
    error = response.results.add().error
    error.code, error.message = code_pb2.INVALID_ARGUMENT, "no picture"
    response.results.add().hits.space = 99  # of a newer server
    response.results.add()
    assert read_similar(request, response) == [
        Hits(
            "1",
            (
                Hit("7", 0.75, "shirt", "A>B", "Acme", "north", 0.0, "g", "i", "x"),
                Hit("8", -0.5, "", "", "", "", None, "", "", ""),
            ),
            "text",
        ),
        Failure("2", "INVALID_ARGUMENT", "no picture"),
        Hits("3", (), ""),
        Failure("", "OK", ""),
    ]


def test_an_upsert_response_is_none_or_the_reason_why_not():
    response = search_pb2.UpsertResponse()
    response.results.add(product_id="1")
    error = response.results.add(product_id="2").error
    error.code, error.message = code_pb2.INVALID_ARGUMENT, "no picture"
    assert read_upsert(response) == [None, Failure("2", "INVALID_ARGUMENT", "no picture")]


@pytest.mark.parametrize(
    ("k", "space", "message"),
    [
        (10, "words", "space: expected 'image', 'text' or 'joint', or '' for the best one; found 'words'"),
        (-1, "", "k: expected 1 to the server's limits.max_k, or 0 for its default; found -1"),
        (1 << 31, "", "found 2147483648"),
    ],
)
def test_what_no_request_can_say_is_named(k: int, space: str, message: str):
    with pytest.raises(InputError, match=message):
        similar_head(k, space, None, False, 0)


def test_one_text_is_no_list_of_its_letters():
    with pytest.raises(InputError, match=r"product_ids: expected a list, found the text 'abc'; write \['abc'\]"):
        not_one_text("product_ids", "abc")
    assert not_one_text("product_ids", ["abc"]) == ["abc"]
