"""Answers within a part of the tree, by eye and by law."""

import unicodedata

import numpy as np
import pytest

from model.errors import TaxonomyError
from model.prediction.answers import Answers, answer, answer_each, softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula
from model.sub_tree import find_sub_tree
from model.taxonomy import SEPARATOR, Taxonomy
from tests.conftest import answered

#: A>x and C stop early; the leaves of A do not lie together.
TREE = Taxonomy(("A>x", "B>z>1", "A>y>1", "A>y>2", "C", "B>z>2"))


def logits(*probabilities: float) -> np.ndarray:
    return np.log(np.array([probabilities], np.float32))


def found_within(path: str, given: np.ndarray, top_k: int = 6, thresholds: tuple[float, ...] = ()) -> Answers:
    return answered(given, TREE, Calibration(thresholds=thresholds), top_k, find_sub_tree(TREE, path))


@pytest.mark.parametrize(
    ("path", "leaves"),
    [("A", [0, 2, 3]), ("A>y", [2, 3]), (" A > y > 2 ", [3]), ("A>x", [0]), ("C", [4]), ("B", [1, 5]), ("B>z", [1, 5])],
)
def test_the_leaves_below_a_node(path: str, leaves: list[int]) -> None:
    assert find_sub_tree(TREE, path).leaves.tolist() == leaves


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("A>z", "expected a category of this model, found 'A>z'; did you mean 'B>z'"),
        ("Y", "found 'Y'; did you mean 'A>y'?"),
        ("A>y>3", "did you mean 'A>y>2' or 'A>y>1' or 'A>y'?"),
        ("qqqqqqqqqqqqqqqq", "found 'qqqqqqqqqqqqqqqq'$"),
        (" > ", "found ''; its top level has 3, such as 'A'"),
        ("q" * 5000, "qqq...'; its top level has 3"),
    ],
)
def test_the_error_of_an_unknown_path_names_near_ones(path: str, text: str) -> None:
    with pytest.raises(TaxonomyError, match=text) as caught:
        find_sub_tree(TREE, path)
    assert len(str(caught.value)) < 600


def test_another_spelling_of_a_node_is_the_node() -> None:
    tree = Taxonomy(("의류>상의", "의류>하의"))
    assert find_sub_tree(tree, unicodedata.normalize("NFD", "의류>\ufeff하의")).path == "의류>하의"


def test_probabilities_are_renormalised_over_the_sub_tree() -> None:
    found = found_within("A", logits(0.1, 0.5, 0.1, 0.2, 0.06, 0.04))
    assert found.top_classes.tolist() == [[3, 0, 2]]
    np.testing.assert_allclose(found.top_probabilities, [[0.5, 0.25, 0.25]], rtol=1e-5)


def test_a_sub_tree_that_the_model_rules_out_has_probabilities_all_the_same() -> None:
    found = found_within("A>y", np.array([[0, 1000, -500, -501, 0, 0]], np.float32))
    np.testing.assert_allclose(found.top_probabilities, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]], rtol=1e-4)


def test_the_sub_tree_of_a_leaf_is_that_leaf() -> None:
    found = found_within("C", logits(0.1, 0.5, 0.1, 0.2, 0.06, 0.04), thresholds=(0.0, 0.0, 0.0))
    assert (found.top_classes.tolist(), found.top_probabilities.tolist()) == ([[4]], [[1.0]])
    assert found.needs_review(0, TREE)  # the model's own answer is another


def test_what_the_whole_tree_accepts_within_the_sub_tree_is_accepted() -> None:
    given = logits(0.05, 0.04, 0.1, 0.8, 0.005, 0.005)
    whole = answered(given, TREE, Calibration(thresholds=(0.9, 0.85, 0.75)), 1)
    for path in ("A", "A>y", "A>y>2"):
        found = found_within(path, given, thresholds=(0.9, 0.85, 0.75))
        assert found.accepted(0, TREE) is not None
        assert found.accepted_depths.tolist() == whole.accepted_depths.tolist() == [3]
        assert found.accepted_nodes.tolist() == whole.accepted_nodes.tolist()
    assert found.accepted_probabilities.tolist() == [1.0]


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("A>y", (0.05, 0.8, 0.0001, 0.14, 0.005, 0.0049)),  # within, 2 has 0.999, but the model says B
        ("A>x", (0.05, 0.04, 0.1, 0.8, 0.005, 0.005)),  # A is accepted, and lies above
    ],
)
def test_a_sub_tree_alone_accepts_nothing(path: str, given: tuple[float, ...]) -> None:
    found = found_within(path, logits(*given), thresholds=(0.9, 0.85, 0.75))
    assert found.accepted(0, TREE) is None
    assert found.needs_review(0, TREE)


def random_trees() -> list[Taxonomy]:
    random = np.random.default_rng(0)
    trees = []
    for _ in range(20):
        paths = {">".join(map(str, random.integers(0, 3, random.integers(1, 5)))) for _ in range(30)}
        leaves = [path for path in paths if not any(other.startswith(path + SEPARATOR) for other in paths)]
        random.shuffle(leaves)
        trees.append(Taxonomy(leaves))
    return trees


@pytest.mark.parametrize("tree", random_trees(), ids=lambda tree: f"{tree.num_leaves} leaves")
def test_laws(tree: Taxonomy) -> None:
    """Masked answers lie in the sub-tree, sum to 1, keep the order, and accept nothing that is not accepted whole."""
    random = np.random.default_rng(tree.num_leaves)
    given = (random.normal(size=(40, tree.num_leaves)) * 4).astype(np.float32)
    calibration = Calibration(thresholds=tuple(random.uniform(0.1, 0.9, tree.depth)))
    whole = answered(given, tree, calibration, tree.num_leaves)
    probabilities = softmax(given)
    for path in tree.nodes:
        found = answered(given, tree, calibration, tree.num_leaves, find_sub_tree(tree, path))
        np.testing.assert_allclose(found.top_probabilities.sum(axis=1), 1, atol=1e-5)
        for row in range(len(given)):
            categories = found.categories(row, tree)
            inside = [scored.category for scored in whole.categories(row, tree) if in_node(scored.category, path)]
            assert [scored.category for scored in categories] == inside
            accepted, depth = found.accepted(row, tree), found.accepted_depths[row]
            if accepted is not None:
                assert in_node(accepted.category, path)
                below = sum(scored.probability for scored in categories if in_node(scored.category, accepted.category))
                assert accepted.probability == pytest.approx(below, abs=1e-5)
                level = tree.node_probabilities(probabilities[row : row + 1], depth)[0]
                assert level.argmax() == found.accepted_nodes[row]
                assert level.max() >= calibration.thresholds[depth - 1]


@pytest.mark.parametrize("tree", random_trees(), ids=lambda tree: f"{tree.num_leaves} leaves")
def test_laws_of_the_whole_tree(tree: Taxonomy) -> None:
    """Every returned path is in the tree, and a node's probability is the sum over its leaves."""
    random = np.random.default_rng(tree.num_leaves)
    given = (random.normal(size=(40, tree.num_leaves)) * 4).astype(np.float32)
    found = answered(given, tree, Calibration(thresholds=tuple(random.uniform(0.1, 0.9, tree.depth))), tree.num_leaves)
    for row in range(len(given)):
        categories = found.categories(row, tree)
        assert sorted(scored.category for scored in categories) == sorted(tree.leaves)
        accepted = found.accepted(row, tree)
        if accepted is not None:
            assert accepted.category in set(tree.nodes)
            below = sum(scored.probability for scored in categories if in_node(scored.category, accepted.category))
            assert accepted.probability == pytest.approx(below, abs=1e-5)
        assert found.needs_review(row, tree) == (accepted is None or accepted.category not in tree.leaves)


def test_leaves_that_nobody_proved_are_not_accepted() -> None:
    calibration = Calibration(thresholds=(0.5, 0.5, 0.5), unproven=("A>y>1", "C"))
    found = answered(
        np.concatenate([logits(0.01, 0.01, 0.95, 0.01, 0.01, 0.01), logits(0.01, 0.01, 0.01, 0.01, 0.95, 0.01)]),
        TREE,
        calibration,
        1,
    )
    assert found.categories(0, TREE)[0].category == "A>y>1"
    assert found.accepted(0, TREE) is None  # nor are A>y and A, which other leaves alone do not prove
    assert found.accepted(1, TREE) is None
    masked = answered(logits(0.01, 0.01, 0.95, 0.01, 0.01, 0.01), TREE, calibration, 1, find_sub_tree(TREE, "A>y"))
    assert masked.accepted_depths.tolist() == [0]
    others = answered(logits(0.95, 0.01, 0.01, 0.01, 0.01, 0.01), TREE, calibration, 1)
    accepted = others.accepted(0, TREE)
    assert accepted is not None
    assert accepted.category == TREE.leaves[0]


def in_node(category: str, node: str) -> bool:
    return f"{category}>".startswith(f"{node}>")


def test_each_row_with_a_sub_tree_of_its_own() -> None:
    random = np.random.default_rng(1)
    given = random.normal(size=(7, 6)).astype(np.float32)
    calibration = Calibration()
    masks = [None, find_sub_tree(TREE, "A"), find_sub_tree(TREE, "C"), None]
    sub_trees = [masks[i % 4] for i in range(7)]
    thresholds = np.tile(np.float32([0.3, 0.3, 0.3]), (7, 1))
    thresholds[::2] = 0.5
    masses = np.linspace(0, 0.3, 7, dtype=np.float32)[:, None]
    for row, (answers, place) in enumerate(answer_each(given, masses, TREE, calibration, thresholds, 2, sub_trees)):
        alone = answer(given[[row]], masses[[row]], TREE, calibration, thresholds[[row]], 2, sub_trees[row])
        assert answers.categories(place, TREE) == alone.categories(0, TREE)
        assert answers.accepted(place, TREE) == alone.accepted(0, TREE)


def test_far_from_the_answer_a_sub_tree_keeps_its_order_and_its_differences() -> None:
    """In the whole tree the prior is all that A>y has; within it only a tenth is in doubt."""
    sub_tree = find_sub_tree(TREE, "A>y")
    given = np.full((1, 6), -50, np.float32)
    inside = sub_tree.leaves
    given[0, inside] = -60 - 3 * np.arange(len(inside))
    given[0, next(leaf for leaf in range(6) if leaf not in inside)] = 50
    calibration = Calibration(JointFormula(prior_mass=0.1), thresholds=(2.0, 2.0, 2.0))
    found = answered(given, TREE, calibration, 6, sub_tree)
    assert found.top_classes[0].tolist() == inside.tolist()
    plain = softmax(given[:, inside])[0]
    np.testing.assert_allclose(found.top_probabilities[0], 0.9 * plain + 0.1 / len(inside), rtol=1e-5)
