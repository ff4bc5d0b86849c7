import random
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import code_pb2
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import find_sub_tree
from server.app import AisleServer
from server.settings import ServerSettings
from tests.server.support import Stub, ask, named, same_prediction, violations

TEXTS = ["red shirt", "검은 구두", "leather bag 3.5kg", "x", "blue SHIRT!! ", "white shoe\0\u200b", "💼"]


def test_answers_are_the_predictors_own_in_the_order_of_the_request(predictor: Predictor, stub: Stub, jpeg: bytes):
    products = [Product(f"{i}", text, brand="acme") for i, text in enumerate(TEXTS) if any(map(str.isalnum, text))]
    products.append(Product("picture", image=jpeg))
    products.append(Product("all", "red shirt", "clothes > shirts", "acme", "maker", image=jpeg))
    messages = [
        pb.Product(
            product_id=product.product_id,
            product_name=product.product_name,
            mall_category=product.mall_category,
            brand=product.brand,
            maker=product.maker,
            image=product.image or b"",
        )
        for product in products
    ]
    response = ask(stub, *messages, top_k=2)
    expected = predictor.predict(products, top_k=2)
    assert [c.product_id for c in response.classifications] == [product.product_id for product in products]
    for classification, prediction in zip(response.classifications, expected, strict=True):
        assert isinstance(prediction, Prediction)
        assert same_prediction(classification.prediction, prediction)
        assert len(classification.prediction.categories) == 2


def test_the_response_names_the_model_and_its_timings(server: AisleServer, stub: Stub, jpeg: bytes):
    model = next(iter(server.models))
    response = ask(stub, pb.Product(image=jpeg))
    assert (response.model, response.model_version) == (model.name, model.version)
    timings = response.timings
    assert 0 < timings.decode_ms < timings.total_ms
    assert 0 < timings.inference_ms < timings.total_ms
    assert 0 <= timings.queue_ms < timings.total_ms
    assert ask(stub, named("shirt")).timings.decode_ms == 0


def test_top_k_leaves_come_best_first_and_five_by_default(predictor: Predictor, stub: Stub):
    num_leaves = predictor.bundle.taxonomy.num_leaves
    for top_k, expected in ((1, 1), (0, min(5, num_leaves)), (100, min(100, num_leaves))):
        [classification] = ask(stub, named("red shirt"), top_k=top_k).classifications
        probabilities = [category.probability for category in classification.prediction.categories]
        assert len(probabilities) == expected
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) <= 1 + 1e-6


def test_evidence_and_embedding_come_on_request_only(predictor: Predictor, stub: Stub, jpeg: bytes):
    product = pb.Product(product_name="red shirt", image=jpeg)
    plain = ask(stub, product).classifications[0].prediction
    assert (len(plain.heads), len(plain.embedding)) == (0, 0)
    full = ask(stub, product, include_evidence=True, include_embedding=True).classifications[0].prediction
    assert {answer.head for answer in full.heads} == {"name", "image", "linear", "neighbors"}
    assert all(0 < answer.category.probability <= 1 for answer in full.heads)
    assert np.linalg.norm(full.embedding) == pytest.approx(1, abs=1e-4)


def test_a_mask_keeps_answers_in_its_sub_tree(predictor: Predictor, stub: Stub, jpeg: bytes):
    products = [named("노트북"), pb.Product(image=jpeg), pb.Product()]
    found = ask(stub, *products, mask_parent=unicodedata.normalize("NFD", " 의류\u200b > ")).classifications
    sub_tree = find_sub_tree(predictor.bundle.taxonomy, "의류")
    expected = predictor.predict([Product("", "노트북"), Product("", image=jpeg)], sub_tree=sub_tree)
    for classification, one in zip(found[:2], expected, strict=True):
        assert isinstance(one, Prediction)
        prediction = classification.prediction
        assert [scored.category for scored in prediction.categories] == [scored.category for scored in one.categories]
        assert {scored.category.partition(">")[0] for scored in prediction.categories} == {"의류"}
        assert sum(scored.probability for scored in prediction.categories) == pytest.approx(1, abs=1e-5)
        assert prediction.needs_review == one.needs_review
    assert violations(found[2].error) == ["products[2]"]


def test_an_unknown_mask_is_reported_with_similar_categories(stub: Stub):
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, named("red shirt"), mask_parent="상의")
    status = rpc_status.from_call(caught.value)
    assert (status.code, violations(status)) == (code_pb2.INVALID_ARGUMENT, ["mask_parent"])
    assert status.message.startswith("mask_parent: expected a category of this model, found '상의'; did you mean")
    assert "'의류>상의'" in status.message


def test_words_come_on_request_only(predictor: Predictor, stub: Stub):
    product = named("게이밍 laptop 무료배송")
    assert not ask(stub, product, include_evidence=True).classifications[0].prediction.words
    words = ask(stub, product, named("laptop"), include_words=True).classifications
    [expected] = predictor.predict([Product("", product.product_name)], with_words=True)
    assert isinstance(expected, Prediction)
    assert [word.word for word in words[0].prediction.words] == [word.word for word in expected.words]
    for word, one in zip(words[0].prediction.words, expected.words, strict=True):
        assert word.support == pytest.approx(one.support, abs=1e-3)
        assert word.probability_without == pytest.approx(one.probability_without, abs=1e-5)
    assert not words[1].prediction.words


def test_picture_features_are_answered_like_the_picture(predictor: Predictor, stub: Stub, jpeg: bytes):
    pixels = predictor.decode(Product("", image=jpeg))
    assert pixels is not None
    features = pb.ImageFeatures(values=predictor.encode_images(pixels[None])[0])
    by_picture, by_features = ask(stub, pb.Product(image=jpeg), pb.Product(image_features=features)).classifications
    assert [c.category for c in by_picture.prediction.categories] == [
        c.category for c in by_features.prediction.categories
    ]
    assert by_features.prediction.categories[0].probability == pytest.approx(
        by_picture.prediction.categories[0].probability, abs=1e-5
    )


def test_bad_products_fail_alone_each_with_its_path(stub: Stub, jpeg: bytes, bomb: bytes):
    bad = {
        "products[1]": (pb.Product(product_id="empty"), "every field is empty"),
        "products[2]": (pb.Product(product_name=" !? "), "every field is empty"),
        "products[3].image": (pb.Product(image=jpeg[: len(jpeg) // 2]), "damaged or cut off"),
        "products[4].image": (pb.Product(image=b"GIF89a?", product_name="shirt"), "picture"),
        "products[5].image": (pb.Product(image=bomb), "the header announces 60000 x 60000"),
        "products[6].image": (pb.Product(image=b"\xff\xd8" + bytes(20_000_001)), "at most 20000000 bytes"),
        "products[7].image_features": (
            pb.Product(product_name="shirt", image_features=pb.ImageFeatures(values=[1, 2])),
            "image_features of",
        ),
        "products[8].image_features": (
            pb.Product(image_features=pb.ImageFeatures(values=[float("nan")] * 3)),
            "image_features",
        ),
        "products[9].product_name": (
            pb.Product(product_name="가" * 10_001),
            "expected at most 10000 characters, found 10001",
        ),
    }
    response = ask(stub, named("red shirt"), *(product for product, _ in bad.values()), named("blue shirt"))
    first, *wrong, last = response.classifications
    assert (first.product_id, last.product_id) == ("id of red shirt", "id of blue shirt")
    assert (first.WhichOneof("outcome"), last.WhichOneof("outcome")) == ("prediction", "prediction")
    for classification, (path, (product, message)) in zip(wrong, bad.items(), strict=True):
        assert classification.product_id == product.product_id
        assert classification.error.code == code_pb2.INVALID_ARGUMENT
        assert message in classification.error.message
        assert violations(classification.error) == [path]


@pytest.mark.parametrize(
    ("request_message", "fields", "message"),
    [
        (pb.ClassifyRequest(), ["products"], "expected 1 to 512 products, found none"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}] * 513), ["products"], "found 513; split the request"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], top_k=-1), ["top_k"], "found -1"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], top_k=101), ["top_k"], "found 101"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], model="no"), ["model"], "found 'no'"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], model="x" * 10**6), ["model"], "xxx..."),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], model_version="-"), ["model_version"], "found '-'"),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], mask_parent="가" * 900), ["mask_parent"], "가가..."),
        (
            pb.ClassifyRequest(products=[{"product_name": "a"}], mask_parent="a" * 10**6),
            ["mask_parent"],
            "found 1000000",
        ),
        (pb.ClassifyRequest(products=[{"product_name": "a"}], mask_parent=" > "), ["mask_parent"], "found ''"),
    ],
    ids=[
        "empty",
        "too many",
        "negative top_k",
        "large top_k",
        "unknown model",
        "long model",
        "unknown version",
        "unknown mask",
        "long mask",
        "empty mask",
    ],
)
def test_a_request_that_is_wrong_as_a_whole(stub: Stub, request_message, fields: list[str], message: str):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(request_message, timeout=30)
    is_unknown = fields in (["model"], ["model_version"])
    assert caught.value.code() == (grpc.StatusCode.NOT_FOUND if is_unknown else grpc.StatusCode.INVALID_ARGUMENT)
    assert message in caught.value.details()
    assert violations(rpc_status.from_call(caught.value)) == fields


def test_a_full_request_is_answered_product_by_product(stub: Stub):
    response = ask(stub, *(named(f"red shirt {i}") for i in range(512)))
    assert [c.product_id for c in response.classifications] == [f"id of red shirt {i}" for i in range(512)]
    assert all(c.HasField("prediction") for c in response.classifications)


def test_a_product_alone_equals_the_product_in_any_batch_under_stress(stub: Stub, jpeg: bytes):
    texts = [text for text in TEXTS if any(map(str.isalnum, text))]
    catalog = [named(text) for text in texts] + [pb.Product(product_id="p", product_name="shoe", image=jpeg)]
    alone = {product.product_id: ask(stub, product).classifications[0].prediction for product in catalog}

    def caller(seed: int) -> bool:
        products = random.Random(seed).choices(catalog, k=seed % 9 + 1)
        response = ask(stub, *products)
        return all(
            classification.product_id == product.product_id
            and classification.prediction.categories[0].category == alone[product.product_id].categories[0].category
            and abs(
                classification.prediction.categories[0].probability
                - alone[product.product_id].categories[0].probability
            )
            < 1e-4
            for classification, product in zip(response.classifications, products, strict=True)
        )

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(caller, range(96)))


def test_get_model_describes_the_bundle(predictor: Predictor, stub: Stub, toy_bundle: Path):
    bundle = predictor.bundle
    response = stub.GetModel(pb.GetModelRequest(), timeout=30)
    assert (response.model, response.model_version, response.engine) == (bundle.name, bundle.version, "openvino")
    assert response.taxonomy.num_leaves == bundle.taxonomy.num_leaves
    assert response.taxonomy.checksum == bundle.taxonomy.checksum
    assert tuple(response.inputs) == bundle.fields
    assert response.image_feature_dim == bundle.image_feature_dim
    assert len(response.metrics) > 0
    contract = response.precision_contract
    assert contract.precision_target == bundle.calibration.precision_target
    assert [depth.depth for depth in contract.depths] == list(range(1, bundle.taxonomy.depth + 1))
    assert tuple(depth.threshold for depth in contract.depths) == bundle.calibration.thresholds
    assert tuple(depth.coverage for depth in contract.depths) == bundle.calibration.coverages
    measured = bundle.metrics["contract"]
    assert (contract.accepted.num_products, contract.accepted.num_accepted) == (45, measured["num_accepted"])
    assert [depth.accepted.num_accepted for depth in contract.depths] == [
        depth["num_accepted"] for depth in measured["depths"]
    ]
    assert not contract.accepted.HasField("is_kept")  # nothing is accepted of so few
    assert (contract.unproven, list(contract.unproven_categories)) == ("", [])
    assert [list(entry.fields) for entry in contract.field_sets] == [
        entry["fields"] for entry in bundle.metrics["field_combinations"]
    ]
    settings, image = ServerSettings(bundle=toy_bundle), bundle.settings.image
    assert response.limits == pb.Limits(
        max_products=512,
        max_top_k=100,
        max_text_chars=10_000,
        max_image_bytes=image.max_image_bytes,
        max_request_bytes=settings.max_message_bytes,
        max_image_pixels=image.max_image_pixels,
        max_request_chars=settings.max_request_chars,
        max_request_pixels=settings.max_request_pixels,
    )


def test_get_model_of_an_unknown_model_is_not_found(stub: Stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(pb.GetModelRequest(model="no"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
