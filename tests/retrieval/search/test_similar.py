from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from model.errors import SettingsError, VectorIndexError
from retrieval.index.engine import NO_FILTER
from retrieval.index.filter import ProductFilter
from retrieval.index.local.local_engine import LocalEngine
from retrieval.index.record import Attributes, Hit, IndexRecord, Space
from retrieval.search.similar import AskedProduct, SimilarOptions, best_space, similar
from tests.retrieval.support import describe, exact_hits, ids, make_records, unit_vectors

DIM = 8


class WatchedEngine(LocalEngine):
    """Remembers how many hits it was asked for, and for how many products."""

    def __init__(self, folder: Path):
        super().__init__(folder, describe("exact", {"image": DIM, "text": DIM}))
        self.asked: list[tuple[int, int]] = []

    def search(
        self, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter = NO_FILTER
    ) -> list[list[Hit]]:
        self.asked.append((len(vectors), k))
        return super().search(space, vectors, k, condition)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[WatchedEngine]:
    made = WatchedEngine(tmp_path)
    yield made
    made.close()


def at(degrees: float) -> np.ndarray:
    """A vector in this direction; the smaller the angle between two, the more alike."""
    vector = np.zeros(DIM, np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def product(product_id: str, degrees: float, item_id: str = "", group_id: str = "", brand: str = "") -> IndexRecord:
    attributes = Attributes(item_id=item_id, group_id=group_id, brand=brand)
    return IndexRecord(product_id, attributes, {"image": at(degrees)})


def found(
    engine: LocalEngine, options: SimilarOptions, asked: AskedProduct | None = None, degrees: float = 0
) -> list[str]:
    return ids(similar(engine, "image", at(degrees)[None], [asked or AskedProduct()], options)[0])


@pytest.mark.parametrize(("k", "text"), [(0, "0"), (-1, "-1"), (1001, "1,001")])
def test_k_out_of_range_is_refused(k: int, text: str) -> None:
    with pytest.raises(SettingsError, match=f"k: expected 1 to 1,000, found {text}"):
        SimilarOptions(k)


@pytest.mark.parametrize("diversity", [-0.1, 1.0, float("nan")])
def test_diversity_out_of_range_is_refused(diversity: float) -> None:
    with pytest.raises(SettingsError, match=f"diversity: expected 0 to below 1, found {diversity}"):
        SimilarOptions(diversity=diversity)


def test_the_nearest_come_first(engine: WatchedEngine) -> None:
    engine.upsert([product(f"p{degrees}", degrees) for degrees in (50, 10, 30, 20, 40)])
    hits = similar(engine, "image", at(0)[None], [AskedProduct()], SimilarOptions(3))[0]
    assert ids(hits) == ["p10", "p20", "p30"]
    assert [hit.score for hit in hits] == pytest.approx([np.cos(np.radians(d)) for d in (10, 20, 30)], abs=1e-3)


def test_many_products_at_once_find_what_each_finds_alone(engine: WatchedEngine) -> None:
    rng = np.random.default_rng(1)
    records = [
        product(f"p{i}", float(rng.uniform(0, 360)), item_id=f"i{rng.integers(50)}", group_id=f"g{rng.integers(40)}")
        for i in range(100)
    ]
    engine.upsert(records)
    vectors = np.array([record.vectors["image"] for record in records])
    asked = [AskedProduct.of(record) for record in records]
    for options in (SimilarOptions(), SimilarOptions(30, exclude_same_product=True), SimilarOptions(5, diversity=0.4)):
        together = similar(engine, "image", vectors, asked, options)
        alone = [
            similar(engine, "image", vector[None], [one], options)[0]
            for vector, one in zip(vectors, asked, strict=True)
        ]
        assert [ids(hits) for hits in together] == [ids(hits) for hits in alone]
        assert all(len(hits) == options.k for hits in together)


def test_nobody_asks(engine: WatchedEngine) -> None:
    assert similar(engine, "image", np.empty((0, DIM), np.float32), [], SimilarOptions()) == []


def test_the_product_itself_and_its_item_are_no_hits(engine: WatchedEngine) -> None:
    engine.upsert([product("a", 0, "shirt"), product("b", 1, "shirt"), product("c", 2, "hat"), product("d", 3)])
    assert found(engine, SimilarOptions(), AskedProduct("a", "shirt")) == ["c", "d"]
    assert found(engine, SimilarOptions(), AskedProduct("a")) == ["b", "c", "d"]
    assert found(engine, SimilarOptions(), AskedProduct("", "shirt")) == ["c", "d"]
    assert found(engine, SimilarOptions(), AskedProduct("x")) == ["a", "c", "d"]
    assert found(engine, SimilarOptions()) == ["a", "c", "d"]


def test_an_item_is_one_hit_by_its_nearest_picture(engine: WatchedEngine) -> None:
    engine.upsert([product("hat 1", 9, "hat"), product("hat 2", 4, "hat"), product("hat 3", 7, "hat")])
    engine.upsert([product("no item 1", 6), product("no item 2", 8), product("shirt", 5, "shirt")])
    assert found(engine, SimilarOptions()) == ["hat 2", "shirt", "no item 1", "no item 2"]


def test_the_same_product_is_left_out_where_that_is_asked_for(engine: WatchedEngine) -> None:
    engine.upsert([product("a", 0, group_id="g"), product("b", 1, group_id="g"), product("d", 3)])
    engine.upsert([product("c", 2, group_id="h"), product("e", 4, group_id="h")])
    left_out = SimilarOptions(exclude_same_product=True)
    assert found(engine, left_out, AskedProduct("a", group_id="g")) == ["c", "d", "e"]
    assert found(engine, SimilarOptions(), AskedProduct("a", group_id="g")) == ["b", "c", "d", "e"]
    assert found(engine, left_out, AskedProduct("d")) == ["a", "b", "c", "e"]  # no group is no product


def test_hits_meet_the_filter(engine: WatchedEngine) -> None:
    engine.upsert([product(f"p{i}", i, item_id=f"i{i // 4}", brand=("x", "y")[i % 2]) for i in range(40)])
    options = SimilarOptions(5, ProductFilter(brands=("y",)))
    assert found(engine, options) == ["p1", "p5", "p9", "p13", "p17"]
    assert found(engine, SimilarOptions(5, ProductFilter(brands=("z",)))) == []


@pytest.mark.parametrize("diversity", [0, 0.5])
def test_a_small_index_gives_fewer_hits(engine: WatchedEngine, diversity: float) -> None:
    options = SimilarOptions(10, diversity=diversity)
    assert found(engine, options) == []
    engine.upsert([product("a", 0), product("b", 1, "i"), product("c", 2, "i")])
    assert found(engine, options, AskedProduct("a")) == ["b"]
    assert found(engine, options) == ["a", "b"]
    assert {count for count, _ in engine.asked} == {1}
    assert len(engine.asked) == 3  # it was clear at once that there are no more


def test_more_are_asked_for_where_pictures_of_one_item_left_too_few(engine: WatchedEngine) -> None:
    """Only for the product that has too few."""
    pictures = [product(f"hat {i}", 0.01 * i, "hat") for i in range(100)]
    engine.upsert([*pictures, *(product(f"p{i}", 10 + i) for i in range(20))])
    vectors, asked = np.array([at(0), at(30)]), [AskedProduct(), AskedProduct()]
    hits = similar(engine, "image", vectors, asked, SimilarOptions(4))
    assert ids(hits[0]) == ["hat 0", "p0", "p1", "p2"]
    assert ids(hits[1]) == ["p19", "p18", "p17", "p16"]
    assert engine.asked == [(2, 6), (1, 24), (1, 96), (1, 384)]


@pytest.mark.parametrize("options", [SimilarOptions(7), SimilarOptions(7, exclude_same_product=True)])
def test_it_finds_what_a_look_at_all_products_finds(engine: WatchedEngine, options: SimilarOptions) -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        engine.delete([record.product_id for record in engine.scan()])
        angles = rng.permutation(90)[: rng.integers(1, 60)].tolist()
        records = [
            product(f"p{i}", angle, str(rng.choice(["", "a", "b", "c"])), str(rng.choice(["", "g", "h"])))
            for i, angle in enumerate(angles)
        ]
        engine.upsert(records)
        asked = records[0]
        items, expected = {asked.attributes.item_id} - {""}, []
        for name in exact_hits(records, asked.vectors["image"], len(records)):
            attributes = records[int(name[1:])].attributes
            is_same = options.exclude_same_product and attributes.group_id == asked.attributes.group_id != ""
            if name == "p0" or is_same or attributes.item_id in items:
                continue
            items |= {attributes.item_id} - {""}
            expected.append(name)
        hits = similar(engine, "image", asked.vectors["image"][None], [AskedProduct.of(asked)], options)[0]
        assert ids(hits) == expected[:7]


def alikeness(engine: LocalEngine, names: Sequence[str]) -> float:
    """Mean of the products of all pairs."""
    vectors = np.array([record.vectors["image"] for record in engine.get(names) if record is not None])
    return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def test_diversity_picks_hits_that_are_less_alike(engine: WatchedEngine) -> None:
    vectors = unit_vectors(400, 1, DIM)
    engine.upsert([IndexRecord(f"p{i}", Attributes(), {"image": vector}) for i, vector in enumerate(vectors)])
    picked = [found(engine, SimilarOptions(10, diversity=diversity)) for diversity in (0, 0.3, 0.6, 0.9)]
    values = [alikeness(engine, names) for names in picked]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[3] + 0.1
    assert all(len(set(names)) == 10 for names in picked)
    assert all(names[0] == picked[0][0] for names in picked)  # the nearest is always the first


def test_diversity_is_maximal_marginal_relevance(engine: WatchedEngine) -> None:
    engine.upsert([product("near", 5), product("like it", 6), product("other side", -20), product("far", 60)])
    assert found(engine, SimilarOptions(3)) == ["near", "like it", "other side"]
    assert found(engine, SimilarOptions(3, diversity=0.5)) == ["near", "other side", "like it"]
    assert found(engine, SimilarOptions(3, diversity=0.7)) == ["near", "far", "other side"]
    assert found(engine, SimilarOptions(2, diversity=0.2)) == ["near", "like it"]
    assert found(engine, SimilarOptions(2, diversity=0.45)) == ["near", "other side"]


def test_diverse_hits_are_of_different_items_too(engine: WatchedEngine) -> None:
    engine.upsert([product(f"p{i}", i, item_id=f"i{i // 10}") for i in range(90)])
    hits = similar(engine, "image", at(0)[None], [AskedProduct("p0", "i0")], SimilarOptions(5, diversity=0.5))[0]
    assert len({hit.attributes.item_id for hit in hits} - {"i0"}) == 5


def test_products_that_change_between_search_and_choice_are_left_out(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.upsert([product(f"p{i}", i) for i in range(5)])
    read = engine.get

    def get(product_ids: Sequence[str]) -> list[IndexRecord | None]:
        engine.delete(["p1"])
        engine.upsert([IndexRecord("p2", Attributes(), {"text": at(0)})])
        return read(product_ids)

    monkeypatch.setattr(engine, "get", get)
    assert sorted(found(engine, SimilarOptions(5, diversity=0.5))) == ["p0", "p3", "p4"]


def test_a_space_that_the_index_lacks_is_refused(engine: WatchedEngine) -> None:
    with pytest.raises(VectorIndexError, match="expected a space of image, text, found 'joint'"):
        similar(engine, "joint", at(0)[None], [AskedProduct()], SimilarOptions())


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [(("image", "text", "joint"), "joint"), (("image", "text"), "text"), (("image",), "image"), (("text",), "text")],
)
def test_the_space_that_says_most_is_the_one_of_all_that_is_known(spaces: tuple[Space, ...], expected: Space) -> None:
    assert best_space(IndexRecord("p", Attributes(), dict.fromkeys(spaces, at(0)))) == expected


def test_who_asks_is_known_by_its_record() -> None:
    record = make_records(8)[7]
    assert AskedProduct.of(record) == AskedProduct("p7", "i2", "g3")
