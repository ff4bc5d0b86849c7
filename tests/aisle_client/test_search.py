"""The search by both clients, against a real server whose requests hold ten items."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from aisle_client import (
    NO_RETRY,
    AisleClient,
    AsyncAisleClient,
    CallError,
    Failure,
    Hits,
    InputError,
    Offer,
    Product,
    SearchFilter,
    Security,
)
from tests.client.conftest import MAX_BYTES, MAX_ITEMS, NUM_OFFERS

ROOT = Path(__file__).parents[2]
PLAIN = Security()
NO_PICTURE = Product("bad", image=b"this is a text")

Call = Callable[..., Any]


def call_sync(target: str, method: str, *arguments: Any, security: Security = PLAIN, **options: Any) -> Any:
    with AisleClient(target, retry=NO_RETRY, security=security) as client:
        return getattr(client, method)(*arguments, **options)


def call_async(target: str, method: str, *arguments: Any, security: Security = PLAIN, **options: Any) -> Any:
    async def call() -> Any:
        async with AsyncAisleClient(target, retry=NO_RETRY, security=security) as client:
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(call())


@pytest.fixture(params=[call_sync, call_async])
def call(request: pytest.FixtureRequest) -> Call:
    """Both clients, which must behave the same."""
    return request.param


@pytest.fixture
def writer(write_token: Path) -> Security:
    """Of those who may change the index."""
    return Security(token_file=write_token)


def ids(hits: Hits) -> list[str]:
    return [hit.product_id for hit in hits.hits]


def test_queries_of_all_kinds_are_answered_in_order_over_several_requests(call: Call, search_target: str):
    queries: list[str | Product] = [f"o{i}" for i in range(25)]
    queries[3], queries[12], queries[24] = Product("laptop", "게이밍 laptop"), "unknown", NO_PICTURE
    results = call(search_target, "similar", queries, 3)
    assert [result.product_id for result in results] == [
        query if isinstance(query, str) else query.product_id for query in queries
    ]
    assert {i for i, result in enumerate(results) if isinstance(result, Failure)} == {12, 24}
    assert results[12].code == "NOT_FOUND"
    assert "the index has no product 'unknown'; upsert it first" in results[12].message
    assert results[24].code == "INVALID_ARGUMENT"
    assert (
        "expected a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC picture, found 14 bytes of none of them"
        in results[24].message
    )
    assert results[3].space == "text"
    assert {hit.category for hit in results[3].hits} == {"디지털>노트북"}
    assert results[1].space == "joint"
    assert len(results[1].hits) == 3
    assert "o1" not in ids(results[1])


def test_requests_are_no_larger_than_the_server_takes(call: Call, search_target: str):
    long = [Product(str(i), "일자 진", description="x" * (MAX_BYTES // 4)) for i in range(8)]
    results = call(search_target, "similar", long)
    assert [result.product_id for result in results if isinstance(result, Hits)] == [str(i) for i in range(8)]


def test_hits_bring_what_the_index_keeps(call: Call, search_target: str, offers: Path):
    [found] = call(search_target, "similar", ["o1"], NUM_OFFERS)
    hits = {hit.product_id: hit for hit in found.hits}
    assert hits.keys() == {f"o{i}" for i in range(NUM_OFFERS) if i != 1}
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert hits["o5"].price is None
    hit = hits["o34"]
    assert (hit.product_name, hit.category) == ("스키니 데님 34 무료배송", "의류>하의>청바지")
    assert (hit.brand, hit.mall, hit.price, hit.group_id, hit.item_id) == ("brand4", "north", 34_000_034, "g7", "")
    assert hit.image == str(offers.parent / "images/o34.jpg")


def test_filters_hold_for_every_hit(call: Call, search_target: str):
    condition = SearchFilter("의류", ("brand1", "brand2"), ("south",), 3_000_000, 31_000_031)
    [found] = call(search_target, "similar", ["o1"], 100, filter=condition)
    assert set(ids(found)) == {f"o{i}" for i in range(3, 32) if i % 3 != 2 and i % 5 in (1, 2) and i % 2}
    [found] = call(search_target, "similar", ["o1"], filter=SearchFilter("신발"))
    assert found == Hits("o1", (), "joint")


def test_the_same_product_can_be_left_out_for_ids_and_offers(call: Call, search_target: str):
    queries = ["o1", Offer(Product("new", "일자 진 1 무료배송"), group_id="g1")]
    for found in call(search_target, "similar", queries, 100):
        assert {"o10", "o19", "o28"} <= set(ids(found))
    for found in call(search_target, "similar", queries, 100, exclude_same_product=True):
        assert len(found.hits) == NUM_OFFERS - 4
        assert "g1" not in {hit.group_id for hit in found.hits}


def test_a_space_and_diversity_are_passed_on(call: Call, search_target: str):
    [joint] = call(search_target, "similar", ["o1"], 5)
    [text] = call(search_target, "similar", ["o1"], 5, space="text")
    assert (joint.space, text.space) == ("joint", "text")
    assert [hit.score for hit in joint.hits] != [hit.score for hit in text.hits]
    [diverse] = call(search_target, "similar", ["o1"], 5, diversity=0.9)
    assert ids(diverse)[0] == ids(joint)[0]
    assert {hit.category for hit in diverse.hits} > {hit.category for hit in joint.hits}
    [failure] = call(search_target, "similar", ["o4"], space="image")
    assert "the product has no vector of image; ask for another space" in failure.message


def test_offers_are_found_until_they_are_deleted(call: Call, search_target: str, writer: Security):
    new = [Offer(Product(f"new{i}", "게이밍 laptop"), "디지털>노트북", price=i, mall="west") for i in range(24)]
    new[11] = Offer(NO_PICTURE)
    results = call(search_target, "upsert", new, security=writer)
    assert [i for i, result in enumerate(results) if result is not None] == [11]
    assert (results[11].product_id, results[11].code) == ("bad", "INVALID_ARGUMENT")
    assert call(search_target, "get_index").num_products == NUM_OFFERS + 23
    [found] = call(search_target, "similar", ["o2"], 100, filter=SearchFilter(malls=("west",)))
    assert {hit.product_id: hit.price for hit in found.hits} == {f"new{i}": i for i in range(24) if i != 11}
    names = [offer.product.product_id for offer in new]
    assert call(search_target, "delete", [*names, "never there"], security=writer) == 23
    assert call(search_target, "get_index").num_products == NUM_OFFERS


def test_the_index_is_described(call: Call, search_target: str):
    index = call(search_target, "get_index")
    assert (index.model, index.engine, index.is_writable) == ("toy", "exact", True)
    assert index.limits.max_items == MAX_ITEMS


@pytest.mark.parametrize(("method", "items"), [("upsert", [Offer(Product("1", "a"))]), ("delete", ["o1"])])
def test_without_the_token_nothing_changes(call: Call, search_target: str, method: str, items: list):
    with pytest.raises(CallError, match="with a token that may change the index") as caught:
        call(search_target, method, items)
    assert caught.value.code == grpc.StatusCode.PERMISSION_DENIED
    assert call(search_target, "get_index").num_products == NUM_OFFERS


def test_k_has_a_default_and_a_limit(call: Call, search_target: str):
    assert [len(found.hits) for found in call(search_target, "similar", ["o1"], 0)] == [10]
    with pytest.raises(CallError, match="k: expected 1 to 1000, or 0 for 10; found 1000000") as caught:
        call(search_target, "similar", ["o1"], 1_000_000)
    assert set(caught.value.violations) == {"k"}


def test_one_text_is_refused_before_it_is_taken_for_its_letters(call: Call, search_target: str, writer: Security):
    with pytest.raises(InputError, match=r"queries: expected a list, found the text 'o1'"):
        call(search_target, "similar", "o1")
    with pytest.raises(InputError, match=r"product_ids: expected a list, found the text 'o1'"):
        call(search_target, "delete", "o1", security=writer)


def test_the_program_of_the_page_runs(search_target: str, write_token: Path, tmp_path: Path, offers: Path):
    page = (ROOT / "docs/client.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```python\n((?:(?!```).)*?client\.similar.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "search.py").write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}", encoding="utf-8")
    picture = offers.parent / "images/o1.jpg"
    command = [sys.executable, "search.py", search_target, write_token, picture, "o1", "unknown"]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("new is in the index of 37 products\n")
    assert "\no1: new " in done.stdout  # nothing else is so cheap
    assert "\nunknown: queries[1].product_id: the index has no product 'unknown'; upsert it first\n" in done.stdout
    assert done.stdout.endswith("1 deleted\n")
