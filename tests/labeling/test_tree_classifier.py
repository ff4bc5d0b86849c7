"""The classifier over a tree: one decision among few classes, among many a group of like ones first."""

import numpy as np
import pytest
from scipy import sparse

from labeling.answers import decision_paths as paths_module
from labeling.answers.decision_paths import decision_paths
from labeling.answers.tree_classifier import TreeClassifier
from model.taxonomy import Taxonomy

LEAVES = [f"{top}>{leaf}" for top in "abc" for leaf in "uvwxyz"]


def rows_of(num_rows: int, seed: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Each leaf has two columns of its own and shares one with its siblings; one column is of all."""
    random = np.random.default_rng(seed)
    classes = np.arange(num_rows) % len(LEAVES)
    inputs = np.zeros((num_rows, 3 * len(LEAVES)), np.float32)
    inputs[np.arange(num_rows), 2 * classes + random.integers(2, size=num_rows)] = 1
    inputs[np.arange(num_rows), 2 * len(LEAVES) + classes // 6] = 1
    inputs[:, -1] = random.random(num_rows)
    return sparse.csr_matrix(inputs), classes


@pytest.mark.parametrize(("most", "num_steps"), [(512, 1), (8, 2), (4, 2), (2, 2)])
def test_rows_are_answered_right_whatever_the_steps(most: int, num_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths_module, "MOST_CHILDREN", most)
    taxonomy = Taxonomy(LEAVES)
    inputs, classes = rows_of(720, seed=0)
    done: list[float] = []
    classifier = TreeClassifier.fit(taxonomy, inputs, classes, 1.0, 0, done.append)
    assert classifier.paths.shape == (len(LEAVES), num_steps)
    assert sum(done) == pytest.approx(1)
    others, right = rows_of(360, seed=1)
    classifier.calibrate(others, right)
    answers = classifier.answer(others, right)
    assert (answers.classes[:, 0] == right).mean() > 0.98
    assert answers.given.mean() > 0.8
    assert answers.probabilities.sum(axis=1).max() <= 1.01


def test_steps_lead_to_each_class_alone() -> None:
    taxonomy = Taxonomy([f"{i % 7}>{i}" for i in range(700)])
    random = np.random.default_rng(0)
    inputs = sparse.csr_matrix(random.random((1400, 64), np.float32))
    paths = decision_paths(taxonomy, inputs, np.arange(1400) % 700, seed=0)
    assert len(np.unique(paths[:, -1])) == 700
    assert paths.shape[1] == 2
    groups, branches = paths[:, 0], np.array([int(leaf.partition(">")[0]) for leaf in taxonomy.leaves])
    assert 400 < len(np.unique(groups)) <= 512
    assert all(len(np.unique(branches[groups == group])) == 1 for group in np.unique(groups))


def test_classes_without_rows_share_a_group() -> None:
    taxonomy = Taxonomy([str(i) for i in range(700)])
    inputs = sparse.csr_matrix(np.eye(100, dtype=np.float32))
    paths = decision_paths(taxonomy, inputs, np.arange(100), seed=0)
    groups = paths[np.array([int(leaf) >= 100 for leaf in taxonomy.leaves]), 0]
    assert len(np.unique(groups)) == 1


def test_a_class_that_was_not_learned_is_not_known() -> None:
    inputs, classes = rows_of(720, seed=0)
    kept = classes != 4
    classifier = TreeClassifier.fit(Taxonomy(LEAVES), inputs[kept], classes[kept], 1.0, 0, lambda _: None)
    given = classifier.answer(inputs[~kept], classes[~kept]).given
    assert np.isnan(given).all()
