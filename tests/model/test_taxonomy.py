"""The category tree, by eye."""

import json
import unicodedata

import numpy as np
import pytest

from model.errors import TaxonomyError
from model.taxonomy import Taxonomy, normalize_path

#: Three levels; A>x and C stop early.
LEAVES = ("A>x", "A>y>1", "B>z>1", "A>y>2", "C")


@pytest.fixture
def tree() -> Taxonomy:
    return Taxonomy(LEAVES, {"A": "10", "A>y>2": "12"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (" A > B >", "A>B"), ("A", "A"), (">>", ""), ("", ""), ("A>B C>  D", "A>B C>D"), ("\tA\n>B", "A>B"),
        (unicodedata.normalize("NFD", "의류>카페 é"), "의류>카페 é"),
        ("A\u00a0B>C\u3000 \u202fD>\u3164", "A B>C D"),
        ("\ufeffA\u200b>B\xadC>\u202eD\u202c>\u2060", "A>BC>D"),
        ("e\u200d\u0301>\x00\x85", "é"),
        ("Aa＞１>ﬁ", "Aa＞１>ﬁ"),
        ("A>\u0338B", "A>\u0338B"),
    ],
)  # fmt: skip
def test_paths_are_normalised(path: str, expected: str) -> None:
    assert normalize_path(path) == expected


def test_a_normalized_path_stays_as_it_is() -> None:
    """Random texts of all that is dropped, joined, composed, split or kept."""
    alphabet = list(
        "aZ> >\t\n\u00a0\u3164\u3000\u2028\u200b\ufeff\xad\u202e\x00\x85\u0301\u0338\u0323\u2000\u212a"
        "é가각≯\u1112\u1161\u11ab"
    )
    for positions in np.random.default_rng(0).integers(0, len(alphabet), (3000, 12)):
        path = "".join(alphabet[i] for i in positions)
        once = normalize_path(path)
        assert normalize_path(once) == once, ascii(path)
        assert once == normalize_path(unicodedata.normalize("NFD", path.replace("≯", ""))) or "≯" in path, ascii(path)


def test_ragged_depths(tree: Taxonomy) -> None:
    assert (tree.num_leaves, tree.depth) == (5, 3)
    assert tree.levels == [
        ("A", "B", "C"),
        ("A>x", "A>y", "B>z", "C"),
        ("A>x", "A>y>1", "B>z>1", "A>y>2", "C"),
    ]
    assert [nodes.tolist() for nodes in tree.leaf_to_node] == [[0, 0, 1, 0, 2], [0, 1, 2, 1, 3], [0, 1, 2, 3, 4]]


def test_classes_and_ids(tree: Taxonomy) -> None:
    assert [tree.class_of(leaf) for leaf in LEAVES] == [0, 1, 2, 3, 4]
    assert tree.class_of("A>y") is None
    assert tree.class_of("D") is None
    assert [tree.category_id(path) for path in ("A", "A>y>2", "B", "D")] == ["10", "12", "", ""]


def test_ids_are_found_by_their_normalized_form() -> None:
    tree = Taxonomy(LEAVES, {"A": "가\u200b\u00a01", "C": ""})
    assert tree.nodes_by_id == {"가 1": "A"}
    assert tree.category_id("A") == "가\u200b\u00a01"


def test_node_probabilities_by_eye(tree: Taxonomy) -> None:
    leaves = np.array([[0.1, 0.2, 0.3, 0.25, 0.15], [0, 0, 0, 1, 0]], np.float32)
    for depth, expected in (
        (1, [[0.55, 0.3, 0.15], [1, 0, 0]]),
        (2, [[0.1, 0.45, 0.3, 0.15], [0, 1, 0, 0]]),
        (3, leaves),
    ):
        nodes = tree.node_probabilities(leaves, depth)
        assert nodes.dtype == np.float32
        np.testing.assert_allclose(nodes, expected, rtol=1e-6)


def test_node_probabilities_keep_the_sum_of_a_row() -> None:
    random = np.random.default_rng(0)
    tree = Taxonomy(dict.fromkeys(f"{a}>{b}>{c}" for a, b, c in random.integers(0, 7, (200, 3))))
    leaves = random.random((9, tree.num_leaves))
    for depth in (1, 2, 3):
        np.testing.assert_allclose(tree.node_probabilities(leaves, depth).sum(axis=1), leaves.sum(axis=1))


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        ((), "expected at least one category, found none; give labelled rows or --taxonomy"),
        (("A", "B", "A"), "a category path stands twice among the leaves; list each leaf once"),
        (("A>B", "A"), "category 'A>B' lies below 'A', which is itself a leaf"),
        (("A", "A>B>C"), "category 'A>B>C' lies below 'A', which is itself a leaf"),
        (("A> B",), "expected normalized category paths, found 'A> B'; write 'A>B'"),
        (("A>>B",), "expected normalized category paths, found 'A>>B'; write 'A>B'"),
        (("e\u0301",), "expected normalized category paths, found 'e\\u0301'; write '\\xe9'"),
        (("",), "expected levels joined by '>' in a category path, found ''; name one"),
    ],
)
def test_a_contradictory_tree_is_refused(leaves: tuple[str, ...], message: str) -> None:
    with pytest.raises(TaxonomyError) as raised:
        Taxonomy(leaves)
    assert str(raised.value) == message


def test_from_dict_undoes_to_dict(tree: Taxonomy) -> None:
    again = Taxonomy.from_dict(json.loads(json.dumps(tree.to_dict())))
    assert (again.leaves, again.category_ids, again.checksum) == (tree.leaves, tree.category_ids, tree.checksum)


def test_the_checksum_depends_on_the_order_of_classes(tree: Taxonomy) -> None:
    assert Taxonomy(LEAVES).checksum == tree.checksum
    assert Taxonomy(LEAVES[::-1]).checksum != tree.checksum
    assert len(tree.checksum) == 64
