"""Products around centres and what is right to find among them, for the tests of the search."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.index.description import IndexDescription, IndexEngineName
from retrieval.index.filter import ProductFilter
from retrieval.index.index_folder import IndexBuild
from retrieval.index.record import Attributes, Hit, IndexRecord, Space
from retrieval.settings import IndexSettings

DIM = 32
LEAVES = ("의류>상의", "의류>하의", "의류", "의류함", "100%>a_b", "100%>axb", "100x>a_b", "O'Neil>'", "O'Neil")
HALF_FLOAT_ERROR = 2e-3


def describe(engine: IndexEngineName, dims: dict[Space, int] | None = None, **settings: Any) -> IndexDescription:
    return IndexDescription(
        engine=engine,
        bundle_name="toy",
        bundle_version="1",
        bundle_dir="/bundles/toy/1",
        embedding_checksum="00",
        dims=dims or {"image": DIM},
        crop="none",
        created="2026-01-01T00:00:00+00:00",
        settings=IndexSettings(**settings),
    )


def normalized(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def unit_vectors(count: int, seed: int, dim: int = DIM) -> np.ndarray:
    """Vectors around 300 centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((300, dim))
    return normalized(centres[rng.integers(0, 300, count)] + 0.5 * rng.standard_normal((count, dim)))


def positive_vectors(count: int, seed: int, dim: int = DIM, common: float = 1) -> np.ndarray:
    """Vectors as of pictures after a ReLU: around 100 centres that differ by little of their length.

    Args:
        common: how large the part is that all have.
    """
    rng, shared = np.random.default_rng(seed), np.random.default_rng(9)
    origin, centres = common * (2 + 3 * shared.random(dim)), 0.3 * shared.standard_normal((100, dim))
    return normalized(origin + centres[rng.integers(0, 100, count)] + 0.1 * rng.standard_normal((count, dim)))


def records_of(vectors: np.ndarray, prefix: str = "p") -> list[IndexRecord]:
    """Products of whom nothing but a vector is known."""
    return [IndexRecord(f"{prefix}{i}", Attributes(), {"image": vector}) for i, vector in enumerate(vectors)]


def make_records(count: int, seed: int = 1, prefix: str = "p") -> list[IndexRecord]:
    """Products with all attributes, one in a hundred of them rare."""
    vectors = unit_vectors(count, seed)
    return [
        IndexRecord(
            f"{prefix}{i}",
            Attributes(
                product_name=f"상품 {i}",
                category=LEAVES[i % len(LEAVES)],
                brand="rare" if i % 100 == 7 else f"brand {i % 7}",
                mall=("", "쿠팡", "11번가")[i % 3],
                price=math.nan if i % 5 == 0 else float(i),
                group_id=f"g{i // 2}",
                item_id=f"i{i // 3}",
                image=f"pictures/{i}.jpg",
                maker=f"maker {i % 4}",
                mall_category="패션>의류",
                description=f"설명 {i}",
                model_number=f"AB-{i}",
                source=("left", "right")[i % 2],
            ),
            {"image": vector},
        )
        for i, vector in enumerate(vectors)
    ]


def build_index(folder: Path, description: IndexDescription, records: list[IndexRecord]) -> str:
    """Make an index and return where it is."""
    with IndexBuild(str(folder), description, "source") as build:
        build.engine.upsert(records)
        build.finish()
    return str(folder)


def exact_hits(
    records: list[IndexRecord], query: np.ndarray, k: int, condition: ProductFilter | None = None
) -> list[str]:
    """The ids of the nearest, of equally near ones the first."""
    kept = [record for record in records if condition is None or condition.matches(record.attributes)]
    if not kept:
        return []
    halves = np.array([record.vectors["image"] for record in kept]).astype(np.float16).astype(np.float32)
    return [kept[i].product_id for i in np.argsort(-(halves @ query), kind="stable")[:k]]


def ids(hits: list[Hit]) -> list[str]:
    return [hit.product_id for hit in hits]


def same(record: IndexRecord | None, other: IndexRecord) -> bool:
    return (
        record is not None
        and record.product_id == other.product_id
        and repr(record.attributes) == repr(other.attributes)  # NaN is no equal of itself
        and record.vectors.keys() == other.vectors.keys()
        and all(np.allclose(record.vectors[s], other.vectors[s], atol=HALF_FLOAT_ERROR) for s in other.vectors)
    )
