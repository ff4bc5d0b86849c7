"""Requests are cut into parts: every product once, in order, with all the options of its request."""

import random
from typing import Any

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.inference.part import cut_around, cut_request, single_parts, sub_request
from server.messages.request import count_chars
from tests.server.support import RecordingOwner, part_of

MAX_PRODUCTS, MAX_CHARS, MAX_BYTES = 64, 100_000, 4 * 1024 * 1024


def random_request(seed: int) -> pb.ClassifyRequest:
    """Many small products, some with many words, long texts or large pictures."""
    chance = random.Random(seed)
    request = pb.ClassifyRequest(include_words=seed % 2 == 0)
    for i in range(chance.randrange(1, 400)):
        product = request.products.add(product_id=f"{i}", product_name="word " * chance.randrange(5))
        if chance.random() < 0.1:
            product.description = "x" * chance.choice((100, 10_000, 100_001))
        if chance.random() < 0.3:
            product.image = bytes(chance.choice((10, 1_000_000, 5_000_000)))
    return request


@pytest.mark.parametrize("seed", range(12))
def test_every_product_is_in_one_part_and_no_part_is_over_a_limit(seed: int):
    request, max_pictures, max_products = random_request(seed), 8, 40 if seed % 3 else 1000
    parts = list(cut_request(request, max_products, max_pictures, reads_pictures=True))
    assert [start for start, *_ in parts] == [0, *(stop for _, stop, *_ in parts[:-1])]
    assert parts[-1][1] == len(request.products)
    for start, stop, num_pictures, num_chars in parts:
        products = request.products[start:stop]
        assert num_pictures == sum(bool(product.image) for product in products)
        assert num_chars == sum(count_chars(product, request.include_words) for product in products)
        if len(products) > 1:
            assert len(products) <= min(max_products, MAX_PRODUCTS)
            assert num_pictures <= max_pictures
            assert num_chars <= MAX_CHARS
            assert sum(len(product.image) for product in products) <= MAX_BYTES


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        (pb.Product(product_name="x"), [0, 64, 128, 130]),
        (pb.Product(product_name="x", image=b"1"), [0, 8, 16, 24, 32, 40]),
        (pb.Product(description="x" * 25_000), [0, 4, 8, 10]),
        (pb.Product(product_name="x" * 12_495 + " b c"), [0, 2, 4, 6]),
        (pb.Product(image=bytes(1024 * 1024)), [0, 4, 8, 10]),
    ],
    ids=["products", "pictures", "characters", "words", "bytes"],
)
def test_a_part_holds_as_much_as_the_limits_allow(product: pb.Product, expected: list[int]):
    request = pb.ClassifyRequest(products=[product] * expected[-1], include_words=True)
    parts = list(cut_request(request, 1000, 8, reads_pictures=True))
    assert [0, *(stop for _, stop, *_ in parts)] == expected


def test_pictures_count_nothing_for_a_model_without_them():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="x", image=b"1")] * 20)
    assert list(cut_request(request, 1000, 8, reads_pictures=False)) == [(0, 20, 0, 20)]


def value_of(message: Any, field: Any) -> Any:
    """Any value of a field that is not its default."""
    if field.cpp_type == field.CPPTYPE_MESSAGE:
        found = getattr(message, field.name)
        return [found.add()] if field.is_repeated else found
    value = {field.CPPTYPE_STRING: "text", field.CPPTYPE_BOOL: True}.get(field.cpp_type, 7)
    return [value] if field.is_repeated else value


def test_no_field_of_a_request_is_lost_in_its_parts():
    request = pb.ClassifyRequest()
    fields = pb.ClassifyRequest.DESCRIPTOR.fields
    for field in fields:
        if field.name == "products":
            request.products.extend([pb.Product(product_id=f"{i}") for i in range(5)])
        elif field.cpp_type == field.CPPTYPE_MESSAGE:
            value_of(request, field)
        elif field.is_repeated:
            getattr(request, field.name).extend(value_of(request, field))
        else:
            setattr(request, field.name, value_of(request, field))
    assert {field.name for field, _ in request.ListFields()} == {field.name for field in fields}
    part = pb.ClassifyRequest.FromString(sub_request(request, 1, 3))
    assert [product.product_id for product in part.products] == ["1", "2"]
    for field in fields:
        if field.name != "products":
            assert getattr(part, field.name) == getattr(request, field.name), field.name


PRODUCTS = [
    pb.Product(product_id=f"{i}", product_name="a b", image=b"1" if i % 2 else b"", brand="x" * i) for i in range(6)
]


def test_the_products_of_a_part_become_parts_of_their_own():
    part = part_of(
        PRODUCTS, first_index=10, not_utf8={4: "maker"}, num_pictures=3, num_crashes=1, num_returns=1, deadline_s=9.0
    )
    part.is_over = part.is_queued = True
    singles = single_parts(part)
    assert [list(single.products()) for single in singles] == [[product] for product in PRODUCTS]
    assert [(single.first_index, single.num_products) for single in singles] == [(10 + i, 1) for i in range(6)]
    assert [single.num_pictures for single in singles] == [0, 1, 0, 1, 0, 1]
    assert [single.num_chars for single in singles] == [3 + i for i in range(6)]
    assert [single.not_utf8 for single in singles] == [{}, {}, {}, {}, {0: "maker"}, {}]
    assert {(s.num_crashes, s.num_returns, s.deadline_s, s.submitted_s) for s in singles} == {
        (1, 1, 9.0, part.submitted_s)
    }
    assert not any(single.is_over or single.is_queued or single.is_large for single in singles)


def test_a_single_product_is_kept_as_it_is():
    part = part_of(PRODUCTS[:1], not_utf8={0: "maker"})
    [single] = single_parts(part)
    assert single is not part
    assert (single.content, single.not_utf8) == (part.content, {0: "maker"})


@pytest.mark.parametrize(
    ("large", "expected"),
    [
        ([0], [(0, 1), (1, 6)]),
        ([5], [(0, 5), (5, 6)]),
        ([1, 3], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6)]),
        ([1, 2], [(0, 1), (1, 2), (2, 3), (3, 6)]),
    ],
)
def test_a_part_is_cut_around_its_large_pictures(large: list[int], expected: list[tuple[int, int]]):
    part = part_of(PRODUCTS, first_index=10, not_utf8={2: "brand", 5: "maker"}, num_pictures=3)
    parts = cut_around(part, {i: (5_000_000 + i, 20_000_000) for i in large})
    assert [(p.first_index - 10, p.first_index - 10 + p.num_products) for p in parts] == expected
    assert [product for p in parts for product in p.products()] == PRODUCTS
    assert [p.first_index - 10 for p in parts if p.is_large] == large
    assert [p.num_pixels for p in parts if p.is_large] == [5_000_000 + i for i in large]
    found = {p.first_index - 10 + i: field for p in parts for i, field in p.not_utf8.items()}
    assert found == {2: "brand", 5: "maker"}
    assert sum(p.num_pictures for p in parts) == 3


def test_the_pictures_of_a_model_that_reads_none_are_none_after_a_cut_either():
    assert [single.num_pictures for single in single_parts(part_of(PRODUCTS, num_pictures=0))] == [0] * 6


def test_an_owner_hears_of_a_part_once():
    owner = RecordingOwner()
    part, failed = part_of(PRODUCTS, owner), part_of(PRODUCTS, owner)
    part.replace(single_parts(part))
    part.fail(ValueError("too late"))
    failed.fail(ValueError("wrong"))
    failed.fail(ValueError("again"))
    assert [(found, len(parts)) for found, parts in owner.cuts] == [(part, 6)]
    assert [(found, str(error)) for found, error in owner.errors] == [(failed, "wrong")]
