from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval.index.local.neighbor_graph import NeighborGraph
from retrieval.settings import IndexSettings
from tests.retrieval.support import DIM, positive_vectors, unit_vectors

SETTINGS = IndexSettings()


def graph_of(vectors: np.ndarray, num_fitted: int = 2000, settings: IndexSettings = SETTINGS) -> NeighborGraph:
    """A graph with the keys 0, 1, ..., that knows so many vectors before the first is added."""
    graph = NeighborGraph(vectors.shape[1], settings)
    if num_fitted:
        graph.fit_scale(vectors[:num_fitted])
    graph.add(np.arange(len(vectors)), vectors, threads=2)
    return graph


def recall(graph: NeighborGraph, vectors: np.ndarray, queries: np.ndarray) -> float:
    """Share of the ten nearest that are among twenty candidates; of equally near ones any counts."""
    shares = []
    for query in queries:
        distances = np.square(vectors.astype(np.float64) - query).sum(axis=1)
        tenth = np.sort(distances)[9]
        shares.append(min(np.count_nonzero(distances[graph.candidates(query, 20)] <= tenth) / 10, 1))
    return float(np.mean(shares))


@pytest.mark.parametrize("make", [unit_vectors, positive_vectors])
def test_the_nearest_are_among_the_candidates(make: Callable[..., np.ndarray]) -> None:
    vectors = make(4000, 1)
    graph = graph_of(vectors)
    graph.keep_candidates(128)
    assert len(graph) == 4000
    assert recall(graph, vectors, make(100, 2)) >= 0.98


def test_what_vectors_have_in_common_costs_no_bits() -> None:
    """All positive, as after a ReLU; without a fit the 8 bits go to what is the same in all of them."""
    vectors, queries = positive_vectors(3000, 1, common=10), positive_vectors(60, 2, common=10)
    shares = []
    for num_fitted in (0, 2000):
        graph = graph_of(vectors, num_fitted)
        graph.keep_candidates(256)
        shares.append(recall(graph, vectors, queries))
    assert shares[0] < 0.95
    assert shares[1] > 0.99


def test_more_kept_candidates_find_more() -> None:
    vectors, queries = unit_vectors(4000, 1), unit_vectors(100, 2)
    graph = graph_of(vectors, settings=IndexSettings(max_neighbors=4, build_candidates=16))
    shares = []
    for count in (20, 400):
        graph.keep_candidates(count)
        shares.append(recall(graph, vectors, queries))
    assert shares[0] + 0.05 < shares[1]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_picture_that_many_products_have_hides_no_others(share: float) -> None:
    """As one that stands for a missing one; links between the same would leave none to the others."""
    vectors = unit_vectors(3000, 1)
    vectors[: int(share * 3000)] = vectors[-1]
    graph = graph_of(np.random.default_rng(0).permutation(vectors))
    vectors = np.random.default_rng(0).permutation(vectors)
    graph.keep_candidates(128)
    assert recall(graph, vectors, vectors[::30]) >= 0.98
    assert len(graph.candidates(vectors[0], 3000)) >= 2950


def test_threads_lose_no_product() -> None:
    vectors = unit_vectors(5000, 1)
    graph = NeighborGraph(DIM, SETTINGS)
    graph.fit_scale(vectors[:2000])
    graph.add(np.arange(5000), vectors, threads=16)
    graph.keep_candidates(64)
    assert len(graph) == 5000
    assert len(graph.candidates(vectors[0], 5000)) >= 4993


@pytest.mark.parametrize("num_fitted", [1, 2])
def test_a_graph_that_was_made_for_few_takes_many(num_fitted: int) -> None:
    vectors = unit_vectors(2000, 1)
    vectors[1] = vectors[0] + 1e-5
    graph = graph_of(vectors, num_fitted)
    graph.keep_candidates(128)
    assert recall(graph, vectors, unit_vectors(60, 2)) >= 0.98


def test_the_scale_is_chosen_before_the_first_vector() -> None:
    graph = graph_of(unit_vectors(10, 1))
    with pytest.raises(AssertionError, match="the scale of a graph does not change"):
        graph.fit_scale(unit_vectors(10, 1))


def test_nothing_is_near_in_an_empty_graph() -> None:
    graph = NeighborGraph(DIM, SETTINGS)
    graph.add(np.empty(0, np.int64), np.empty((0, DIM), np.float32))
    graph.remove(np.empty(0, np.int64))
    assert graph.candidates(unit_vectors(1, 1)[0], 10).tolist() == []
    assert graph.keys().tolist() == []


def test_keys_that_were_taken_out_are_not_found() -> None:
    vectors = unit_vectors(300, 1)
    graph = graph_of(vectors)
    graph.remove(np.arange(0, 300, 2))
    graph.remove(np.array([0, 7777]))  # not there
    assert len(graph) == 150
    assert sorted(graph.keys().tolist()) == list(range(1, 300, 2))
    assert sorted(graph.candidates(vectors[0], 300).tolist()) == list(range(1, 300, 2))
    graph.add(np.arange(1000, 1100), vectors[:100])
    assert len(graph) == len(graph.keys()) == 250
    assert graph.candidates(vectors[8], 1).tolist() == [1008]


def test_all_may_be_taken_out_and_others_put_in() -> None:
    vectors = unit_vectors(100, 1)
    graph = graph_of(vectors)
    graph.remove(np.arange(100))
    assert len(graph) == 0
    assert graph.candidates(vectors[0], 5).tolist() == []
    graph.add(np.arange(200, 300), vectors)
    assert graph.candidates(vectors[5], 1).tolist() == [205]


def test_a_saved_graph_is_the_same_and_grows_on(tmp_path: Path) -> None:
    vectors, queries = positive_vectors(1000, 1), positive_vectors(20, 2)
    graph = graph_of(vectors)
    graph.remove(np.arange(0, 1000, 10))
    graph.save(tmp_path / "image.usearch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.usearch", "image.usearch.npz"]
    loaded = NeighborGraph(DIM, SETTINGS)
    assert loaded.load(tmp_path / "image.usearch")
    assert sorted(loaded.keys().tolist()) == sorted(graph.keys().tolist())
    for query in queries:
        assert loaded.candidates(query, 30).tolist() == graph.candidates(query, 30).tolist()
    loaded.add(np.arange(2000, 2050), queries[0] + np.zeros((50, 1), np.float32))
    assert len(loaded) == 950
    assert set(loaded.candidates(queries[0], 40).tolist()) <= set(range(2000, 2050))


def flipped(data: bytes, place: float) -> bytes:
    i = int(place * len(data))
    return data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "another file": lambda data: b"no graph" * 500,
    **{f"cut off at {share}": lambda data, share=share: data[: int(share * len(data))] for share in (0.001, 0.3, 0.9)},
    **{f"a byte at {place}": lambda data, place=place: flipped(data, place) for place in (0, 0.3, 0.4, 0.5)},
    "zeros at the end": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
}


@pytest.mark.parametrize("suffix", ["", ".npz"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_used(tmp_path: Path, damage: str, suffix: str) -> None:
    path = tmp_path / "image.usearch"
    graph_of(unit_vectors(500, 1)).save(path)
    file = path.with_name(path.name + suffix)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert not NeighborGraph(DIM, SETTINGS).load(path)


@pytest.mark.parametrize("suffix", ["", ".npz"])
def test_a_missing_file_is_not_used(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "image.usearch"
    graph_of(unit_vectors(5, 1)).save(path)
    path.with_name(path.name + suffix).unlink()
    assert not NeighborGraph(DIM, SETTINGS).load(path)


def test_files_of_two_graphs_are_not_used_together(tmp_path: Path) -> None:
    """As where a process is killed between the two."""
    graph_of(unit_vectors(50, 1)).save(tmp_path / "older")
    graph_of(positive_vectors(50, 1)).save(tmp_path / "newer")
    (tmp_path / "newer.npz").replace(tmp_path / "older.npz")
    assert not NeighborGraph(DIM, SETTINGS).load(tmp_path / "older")


def test_a_graph_of_another_dimension_is_not_used(tmp_path: Path) -> None:
    graph_of(unit_vectors(5, 1)).save(tmp_path / "image.usearch")
    assert not NeighborGraph(DIM + 1, SETTINGS).load(tmp_path / "image.usearch")


def test_a_graph_that_cannot_be_saved_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "image.usearch"
    graph_of(unit_vectors(5, 1)).save(path)
    before = path.read_bytes()
    path.with_name(f"{path.name}.npz").unlink()
    path.with_name(f"{path.name}.npz").mkdir()  # nothing can take this name
    with pytest.raises(OSError, match="directory"):
        graph_of(unit_vectors(5, 2)).save(path)
    assert len(path.read_bytes()) == len(before)
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises((OSError, RuntimeError)):
        graph_of(unit_vectors(5, 2)).save(tmp_path / "nowhere" / "image.usearch")
