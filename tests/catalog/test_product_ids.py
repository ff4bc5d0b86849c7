"""The set of ids against Python's own."""

import numpy as np

from catalog.product_ids import ProductIds


def test_by_eye() -> None:
    ids = ProductIds()
    assert ids.add(["b", "a", "b", "가"]).tolist() == [True, True, False, True]
    assert ids.add(["a", "c", "c"]).tolist() == [False, True, False]
    assert ids.add([]).tolist() == []
    assert len(ids) == 4


def test_agrees_with_a_python_set_over_chunks_of_all_sizes() -> None:
    rng = np.random.default_rng(0)
    ids, seen = ProductIds(), set[str]()
    for size in [*rng.integers(0, 200, 150).tolist(), 5000, 1, 1, 1]:
        chunk = [str(number) for number in rng.integers(0, 9000, size)]
        is_new = ids.add(chunk)
        for product_id, new in zip(chunk, is_new, strict=True):
            assert new == (product_id not in seen)
            seen.add(product_id)
    assert len(ids) == len(seen)


def test_memory_is_8_bytes_an_id_in_few_runs() -> None:
    ids = ProductIds()
    for start in range(0, 64_000, 1000):
        ids.add([f"p{number}" for number in range(start, start + 1000)])
    assert sum(run.nbytes for run in ids._runs) == 64_000 * 8
    assert len(ids._runs) <= 7
