import math
from collections.abc import Sequence

import numpy as np
import pytest

from retrieval.index.filter import ProductFilter
from retrieval.index.local import vector_table
from retrieval.index.local.vector_table import VectorTable
from retrieval.index.record import Attributes
from tests.retrieval.support import unit_vectors

NOTHING: Sequence[Attributes] = ()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that toy tables have several blocks, and grow."""
    monkeypatch.setattr(vector_table, "_BLOCK_ROWS", 64)
    monkeypatch.setattr(vector_table, "_LEAST_CAPACITY", 16)


def table_of(vectors: np.ndarray, attributes: Sequence[Attributes] = NOTHING, first_key: int = 1) -> VectorTable:
    """Rows with every third key."""
    table = VectorTable({"image": vectors.shape[1]})
    keys = first_key + 3 * np.arange(len(vectors))
    given = list(attributes) or [Attributes()] * len(vectors)
    for start in range(0, len(vectors), 50):
        part = slice(start, start + 50)
        table.append(keys[part], given[part], {"image": vectors[part].astype(np.float16)})
    return table


def best(vectors: np.ndarray, query: np.ndarray, k: int, mask: np.ndarray) -> tuple[list[int], np.ndarray]:
    """What NumPy says: keys and scores, of equal scores the first."""
    rows = np.flatnonzero(mask)
    scores = vectors[rows].astype(np.float16).astype(np.float32) @ query
    order = np.argsort(-scores, kind="stable")[:k]
    return (1 + 3 * rows[order]).tolist(), scores[order]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dim", [3, 8, 30])
def test_it_finds_what_numpy_finds(small_blocks: None, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, k = int(rng.integers(1, 400)), int(rng.integers(1, 60))
    vectors, queries = unit_vectors(count, seed, dim), unit_vectors(4, seed + 100, dim)
    table = table_of(vectors)
    for mask in (np.ones(count, bool), rng.random(count) < 0.5, rng.random(count) < 0.01, np.zeros(count, bool)):
        for query, (keys, scores) in zip(queries, table.nearest("image", queries, k, mask), strict=True):
            expected, expected_scores = best(vectors, query, k, mask)
            assert keys.tolist() == expected
            assert scores == pytest.approx(expected_scores, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block_rows", [64, 65536])
def test_equally_near_rows_come_by_key(block_rows: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves, whose products are exact: many rows are equally near, more than any block's spare ones."""
    monkeypatch.setattr(vector_table, "_BLOCK_ROWS", block_rows)
    rng = np.random.default_rng(seed)
    vectors = rng.choice(np.float32([-0.5, 0.5]), (300, 4))
    vectors[rng.random(300) < 0.5] = vectors[0]
    table, k = table_of(vectors), int(rng.integers(1, 100))
    for mask in (np.ones(300, bool), rng.random(300) < 0.5):
        for query, (keys, scores) in zip(vectors[:5], table.nearest("image", vectors[:5], k, mask), strict=True):
            expected, expected_scores = best(vectors, query, k, mask)
            assert keys.tolist() == expected
            assert scores.tolist() == expected_scores.tolist()


def test_a_thousand_equal_rows_come_by_key() -> None:
    vectors = np.repeat(unit_vectors(1, 1, 8), 1000, axis=0)
    keys, _ = table_of(vectors).nearest("image", vectors[:1], 10, np.ones(1000, bool))[0]
    assert keys.tolist() == list(range(1, 31, 3))


def test_a_query_is_not_rounded_where_it_counts() -> None:
    """In 16 bits both of its numbers are 1."""
    query = np.float32([[1, 1 + 2**-12]])
    keys, scores = table_of(np.eye(2, dtype=np.float32)).nearest("image", query, 2, np.ones(2, bool))[0]
    assert keys.tolist() == [4, 1]
    assert scores.tolist() == [1 + 2**-12, 1]


def test_nothing_is_found_for_nobody_and_in_nothing() -> None:
    table = table_of(unit_vectors(5, 1, 8))
    assert table.nearest("image", np.empty((0, 8), np.float32), 3, np.ones(5, bool)) == []
    keys, scores = VectorTable({"image": 8}).nearest("image", unit_vectors(1, 1, 8), 3, np.zeros(0, bool))[0]
    assert (keys.tolist(), scores.tolist()) == ([], [])


def test_keys_are_rescored_exactly_and_those_that_are_gone_left_out() -> None:
    vectors, query = unit_vectors(100, 1, 8), unit_vectors(1, 2, 8)[0]
    table = table_of(vectors)
    table.remove(np.array([4, 7, 2, 999]))  # 2 and 999 are not there
    keys, scores = table.rescored("image", query, np.array([1, 4, 7, 10, 13, 5, 10_000]), None)
    expected, expected_scores = best(vectors, query, 10, np.isin(np.arange(100), [0, 3, 4]))
    assert keys.tolist() == expected
    assert scores == pytest.approx(expected_scores, abs=1e-6)
    mask = np.arange(100) == 3
    assert table.rescored("image", query, np.array([1, 10, 13]), mask)[0].tolist() == [10]


def test_removed_rows_are_never_found_again(small_blocks: None) -> None:
    vectors = unit_vectors(200, 1, 8)
    table = table_of(vectors)
    table.remove(1 + 3 * np.arange(0, 200, 2))
    assert table.num_current == table.count("image") == 100
    assert table.keys("image").tolist() == (1 + 3 * np.arange(1, 200, 2)).tolist()
    table.append(np.array([1000]), [Attributes()], {"image": vectors[:1].astype(np.float16)})
    mask = table.matching("image", ProductFilter())
    found = table.nearest("image", vectors[:1], 500, mask)[0][0].tolist()
    assert found[0] == 1000
    assert sorted(found) == [*range(4, 600, 6), 1000]


def test_rows_of_zeros_have_no_vector() -> None:
    table = VectorTable({"text": 4, "image": 8})
    images, texts = unit_vectors(4, 1, 8).astype(np.float16), unit_vectors(4, 1, 4).astype(np.float16)
    images[[0, 1]], texts[[0, 2]] = 0, 0
    table.append(np.arange(1, 5), [Attributes()] * 4, {"image": images, "text": texts})
    assert table.num_current == 4
    assert (table.keys("image").tolist(), table.keys("text").tolist()) == ([3, 4], [2, 4])
    assert (table.count("image"), table.count("text")) == (2, 2)
    assert table.vectors("image", np.array([4, 3])).tolist() == images[[3, 2]].astype(np.float32).tolist()


def random_attributes(count: int) -> list[Attributes]:
    rng = np.random.default_rng(3)
    categories = ["A", "A>B", "A>B>C", "A>Bb", "AB", "A>D", ""]
    prices = [math.nan, 0.0, 0.1, 19.99, 20.0, 16_777_216.0, 16_777_217.0, 1e300]
    return [
        Attributes(
            category=str(rng.choice(categories)),
            brand=str(rng.choice(["x", "y", "z", ""])),
            mall=str(rng.choice(["m", "n", ""])),
            price=float(rng.choice(prices)),
        )
        for _ in range(count)
    ]


CONDITIONS = (
    ProductFilter(),
    ProductFilter("A>B"),
    ProductFilter("A"),
    ProductFilter("nowhere"),
    ProductFilter(brands=("x",)),
    ProductFilter(brands=("x", "unknown", "", "x")),
    ProductFilter(brands=("unknown",)),
    ProductFilter(malls=("m", "n")),
    ProductFilter(min_price=19.99),
    ProductFilter(max_price=0.1),
    ProductFilter(min_price=0.1, max_price=16_777_216),
    ProductFilter(min_price=16_777_217),
    ProductFilter(max_price=1e299),
    ProductFilter(min_price=-1e300),
    ProductFilter("A>B", ("x", "y"), ("m", ""), 0.1, 1e300),
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_rows_meet_a_filter_as_products_do(small_blocks: None, condition: ProductFilter) -> None:
    attributes = random_attributes(500)
    table = table_of(unit_vectors(500, 1, 8), attributes)
    expected = [condition.matches(entry) for entry in attributes]
    assert table.matching("image", condition).tolist() == expected
    table.remove(np.array([1]))
    assert table.matching("image", condition).tolist() == [False, *expected[1:]]


def test_rows_that_are_gone_give_their_memory_back() -> None:
    table = VectorTable({"joint": 4})
    vectors = np.eye(4, dtype=np.float16)
    for start in range(0, 40, 4):
        table.append(np.arange(start, start + 4), [Attributes(brand=f"b{start}")] * 4, {"joint": vectors})
    table.remove(np.arange(0, 36, 2))
    before = table.nearest("joint", vectors[:1].astype(np.float32), 40, table.matching("joint", ProductFilter()))
    table.drop_gone()
    assert table.num_rows == table.num_current == 22
    after = table.nearest("joint", vectors[:1].astype(np.float32), 40, table.matching("joint", ProductFilter()))
    np.testing.assert_array_equal(before[0][0], after[0][0])
    table.append(np.array([40]), [Attributes(brand="b0")], {"joint": vectors[:1]})
    assert np.count_nonzero(table.matching("joint", ProductFilter(brands=("b0",)))) == 3
