import itertools

import numpy as np
import pytest

from aisle_client.errors import InputError
from aisle_client.v1 import classifier_pb2 as pb
from client.catalog import CatalogItem
from client.load.mix import Mix
from model.product import Product

HEAD = pb.ClassifyRequest(model="shop", top_k=3)
WITH_PICTURE = CatalogItem(Product("p", "shirt", image=b"\xff\xd8"), "", "")
ONLY_PICTURE = CatalogItem(Product("o", image=b"\xff\xd8"), "", "")
ONLY_TEXT = CatalogItem(Product("t", "셔츠"), "", "")
UNREADABLE = CatalogItem(Product("u", "shirt"), "", "picture no.jpg cannot be read")


def drawn(mix: Mix, num_requests: int, num_products: int) -> list[pb.ClassifyRequest]:
    requests = mix.requests(num_products, np.random.default_rng(0))
    return [pb.ClassifyRequest.FromString(request) for request in itertools.islice(requests, num_requests)]


def test_a_request_holds_the_head_and_its_products():
    [request] = drawn(Mix([ONLY_TEXT], None, HEAD), 1, 2)
    product = pb.Product(product_id="t", product_name="셔츠")
    assert request == pb.ClassifyRequest(model="shop", top_k=3, products=[product, product])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_pictures_is_kept(share: float):
    mix = Mix([WITH_PICTURE, ONLY_PICTURE, ONLY_TEXT], share, HEAD)
    products = [product for request in drawn(mix, 100, 20) for product in request.products]
    has_image = [bool(product.image) for product in products]
    assert np.mean(has_image) == pytest.approx(share, abs=0.05)
    assert {p.product_id for p in products if p.image} == ({"p", "o"} if share else set())
    assert {p.product_id for p in products if not p.image} == ({"p", "t"} if share < 1 else set())


def test_without_a_share_rows_are_sent_unchanged():
    mix = Mix([WITH_PICTURE, ONLY_PICTURE, ONLY_TEXT, UNREADABLE], None, HEAD)
    products = [product for request in drawn(mix, 20, 20) for product in request.products]
    assert {(p.product_id, bool(p.image)) for p in products} == {("p", True), ("o", True), ("t", False)}
    assert (mix.num_skipped, mix.num_lost_pictures) == (1, 0)


def test_rows_that_lost_their_picture_are_drawn_and_counted():
    lost = CatalogItem(Product("l", "shirt"), "", "", "", "unreadable picture: no.jpg")
    mix = Mix([lost], None, HEAD)
    assert (mix.num_skipped, mix.num_lost_pictures) == (0, 1)
    assert drawn(mix, 1, 1)[0].products[0].product_id == "l"


@pytest.mark.parametrize(
    ("items", "share", "what"),
    [
        ([ONLY_TEXT, UNREADABLE], 0.5, "a picture"),
        ([ONLY_PICTURE], 0.5, "a text"),
        ([UNREADABLE], None, "a field"),
        ([], None, "a field"),
    ],
)
def test_a_catalog_without_the_required_rows_is_an_error(items: list[CatalogItem], share: float | None, what: str):
    with pytest.raises(InputError, match=f"expected a row of the catalog with {what} that can be read, found none"):
        Mix(items, share, HEAD)
