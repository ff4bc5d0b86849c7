import numpy as np
from google.rpc import code_pb2

from aisle_client.messages import (
    MAX_REQUEST_BYTES,
    ClassifyOptions,
    Failure,
    RequestLimits,
    classify_requests,
    product_message,
    read_response,
    request_limits,
)
from aisle_client.prediction import ScoredCategory
from aisle_client.v1 import classifier_pb2 as pb
from model.product import Product

OPTIONS = ClassifyOptions("shop", "3", 7, include_evidence=True, include_embedding=False)


def test_a_product_goes_over_with_all_its_fields():
    message = product_message(Product("7", "노트북", "가전>컴퓨터", "b", "m", "가벼운", b"\xff\xd8"))
    expected = pb.Product(
        product_id="7",
        product_name="노트북",
        mall_category="가전>컴퓨터",
        brand="b",
        maker="m",
        description="가벼운",
        image=b"\xff\xd8",
    )
    assert message == expected


def test_features_go_over_instead_of_the_picture():
    message = product_message(Product("7", image=b"x", image_features=np.array([0.5, -2], np.float32)))
    assert message.WhichOneof("picture") == "image_features"
    assert list(message.image_features.values) == [0.5, -2]


def test_a_product_without_a_picture_has_none_set():
    assert product_message(Product("7", "a")).WhichOneof("picture") is None


def test_long_lists_are_cut_into_requests_of_512_in_order():
    requests = list(classify_requests((Product(str(i)) for i in range(1030)), OPTIONS, RequestLimits()))
    assert [len(request.products) for request in requests] == [512, 512, 6]
    assert [p.product_id for request in requests for p in request.products] == [str(i) for i in range(1030)]
    for request in requests:
        assert (request.model, request.model_version, request.top_k) == ("shop", "3", 7)
        assert (request.include_evidence, request.include_embedding) == (True, False)


def test_a_request_is_closed_before_it_grows_too_large():
    products = [Product(str(i), image=bytes(size)) for i, size in enumerate([400, 400, 400, 5000, 100])]
    requests = list(classify_requests(products, OPTIONS, RequestLimits(max_bytes=1000)))
    assert [[p.product_id for p in request.products] for request in requests] == [["0", "1"], ["2"], ["3"], ["4"]]
    assert [request.ByteSize() <= 1000 for request in requests] == [True, True, False, True]


def test_many_small_products_stay_under_the_bytes_of_a_message():
    requests = list(classify_requests((Product(str(i), "a") for i in range(400)), OPTIONS, RequestLimits(400, 1000)))
    assert len(requests) > 3
    assert all(request.ByteSize() <= 1000 for request in requests)


def test_limits_are_the_servers_and_requests_stay_handy():
    limits = pb.Limits(max_products=10, max_request_bytes=5000)
    assert request_limits(pb.GetModelResponse(limits=limits)) == RequestLimits(10, 5000)
    limits.max_request_bytes = 1 << 40
    assert request_limits(pb.GetModelResponse(limits=limits)).max_bytes == MAX_REQUEST_BYTES


def test_no_products_make_no_request():
    assert list(classify_requests([], OPTIONS, RequestLimits())) == []


def test_a_response_becomes_predictions_and_failures_in_order():
    response = pb.ClassifyResponse()
    answered = response.classifications.add(product_id="1").prediction
    answered.categories.add(category="A>B", category_id="b", probability=0.75)
    answered.accepted.category, answered.accepted.probability = "A", 0.875
    answered.needs_review = True
    answered.heads.add(head="name").category.category = "A>C"
    answered.embedding.extend([0.6, 0.8])
    failed = response.classifications.add(product_id="2").error
    failed.code, failed.message = code_pb2.INVALID_ARGUMENT, "every field is empty"
    prediction, failure = read_response(response)
    assert prediction.product_id == "1"
    assert prediction.categories == (ScoredCategory("A>B", "b", 0.75),)
    assert prediction.accepted == ScoredCategory("A", "", 0.875)
    assert prediction.needs_review
    assert prediction.heads == {"name": ScoredCategory("A>C", "", 0)}
    assert prediction.embedding == tuple(np.array([0.6, 0.8], np.float32).tolist())
    assert failure == Failure("2", "INVALID_ARGUMENT", "every field is empty")


def test_nothing_accepted_reads_as_none():
    response = pb.ClassifyResponse()
    response.classifications.add().prediction.categories.add(category="A")
    assert read_response(response)[0].accepted is None
