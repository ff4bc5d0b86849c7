"""Labels: the tree they span, contradictions, the shop's own tree, and reasons."""

import unicodedata
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from catalog.labels import label_space
from catalog.labels.label_space import LabelSpace, find_labels, resolve_contradictions
from catalog.labels.taxonomy_file import ancestors
from catalog.rows import CatalogRow, read_catalog
from catalog.statistics import StatisticsCounter
from model.errors import CatalogError
from model.taxonomy import Taxonomy
from tests.conftest import catalog_row


def row(label: str) -> CatalogRow:
    return catalog_row(2, "p", {"name": "name"}, category=label)


def write_catalog(tmp_path: Path, counts: dict[str, int], extra_rows: str = "") -> Path:
    rows = [label for label, count in counts.items() for _ in range(count)]
    text = "".join(f"p{i},name,{label}\n" for i, label in enumerate(rows))
    path = tmp_path / "train.csv"
    path.write_text(f"product_id,product_name,category\n{text}{extra_rows}", encoding="utf-8")
    return path


def read_labels(path: Path, taxonomy_file: Path | None = None) -> LabelSpace:
    counter = StatisticsCounter(path)
    for rows in read_catalog(path, spellings=counter.spellings):
        counter.add(rows)
    return find_labels(counter.statistics(), taxonomy_file)


@pytest.fixture
def tree_file(tmp_path: Path) -> Path:
    path = tmp_path / "taxonomy.csv"
    path.write_text("category_id,category\n1,패션\n11,패션>셔츠\n12,패션>바지\n21,가전>모니터\n", encoding="utf-8")
    return path


def test_the_tree_is_what_the_labels_span(tmp_path: Path) -> None:
    path = write_catalog(tmp_path, {"B > C": 2, "A": 1, "B>A": 3, "": 4})
    labels = read_labels(path)
    assert labels.taxonomy.leaves == ("A", "B>A", "B>C")
    assert labels.class_counts.tolist() == [1, 3, 2]
    assert [labels.class_of(row(label)) for label in ("A", "B>A", "B>C")] == [0, 1, 2]


def test_rows_that_are_left_out_count_for_nothing(tmp_path: Path) -> None:
    labels = read_labels(write_catalog(tmp_path, {"A": 2}, "p0,name,A\n,name,B\np9,short\n"))
    assert labels.taxonomy.leaves == ("A",)
    assert labels.class_counts.tolist() == [2]


def test_spellings_of_one_category_are_merged_and_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nfd = unicodedata.normalize("NFD", "의류>상의")
    path = write_catalog(tmp_path, {"의류>상의": 2, " 의류 > 상의 ": 1, nfd: 3, "A\u200b>B": 1, "A>B": 1, "A>C": 1})
    labels = read_labels(path)
    assert labels.taxonomy.leaves == ("A>B", "A>C", "의류>상의")
    assert labels.class_counts.tolist() == [2, 1, 6]
    (message,) = caplog.messages
    assert message == (
        f"{path}: 4 spellings of labels are read as 2 categories, such as {'의류>상의'!a} and {nfd!a} as"
        " '의류>상의'; they differ in Unicode form, invisible characters or spaces only"
    )


def test_one_spelling_of_each_label_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nfd = unicodedata.normalize("NFD", "의류>상의")
    assert read_labels(write_catalog(tmp_path, {nfd: 3, f" {nfd} ": 1, "A>B": 1})).taxonomy.num_leaves == 2
    assert not caplog.messages


def test_another_spelling_of_a_path_or_id_is_the_same_leaf(tmp_path: Path) -> None:
    tree = tmp_path / "tree.csv"
    tree.write_text(
        unicodedata.normalize("NFD", "category_id,category\n가1,의류>상의\n2,의류>하의\n"), encoding="utf-8"
    )
    nfd_path, nfd_id = unicodedata.normalize("NFD", "의류>상의"), unicodedata.normalize("NFD", "가1")
    labels = read_labels(write_catalog(tmp_path, {nfd_path: 1, "의류>상의": 1, nfd_id: 1, "가1": 1, "2": 1}), tree)
    assert labels.taxonomy.leaves == ("의류>상의", "의류>하의")
    assert labels.class_counts.tolist() == [4, 1]


def test_reasons(tmp_path: Path) -> None:
    labels = read_labels(write_catalog(tmp_path, {"Fashion>Shirts": 1, "Fashion>Trousers": 1}))
    assert labels.class_of(row("")) == "no label: expected a category, found none; fill it in"
    assert labels.class_of(row("Fashion>Shirt")) == (
        "unknown label: 'Fashion>Shirt' is not a leaf of train.csv; did you mean 'Fashion>Shirts'?"
    )
    assert labels.class_of(row("엉뚱")) == "unknown label: '엉뚱' is not a leaf of train.csv"
    assert labels.class_of(row("Fashion")) == (
        "label above the leaves: train.csv has others below 'Fashion', such as 'Fashion>Shirts'; give one"
    )


def test_only_so_many_labels_get_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_space, "NUM_SUGGESTIONS", 2)
    labels = LabelSpace(Taxonomy(["Shirts"]), "the bundle")
    reasons = [str(labels.class_of(row(label))) for label in ("Shirt", "Shirtss", "Shirtz", "Shirt")]
    assert ["did you mean" in reason for reason in reasons] == [True, True, False, True]


def test_the_side_with_fewer_rows_is_rejected(tmp_path: Path) -> None:
    """One sloppy row above 3, two sloppy rows below 5, and a tie that the shallower one wins."""
    counts = {"A": 1, "A>B": 2, "A>C": 1, "D": 5, "D>E": 1, "D>F": 1, "G": 2, "G>H": 2}
    labels = read_labels(write_catalog(tmp_path, counts))
    assert labels.taxonomy.leaves == ("A>B", "A>C", "D", "G")
    assert labels.class_counts.tolist() == [2, 1, 5, 2]
    assert labels.class_of(row("A")) == (
        "contradictory label: others lie below 'A', and fewer rows say so; give every product the deepest category"
    )
    assert labels.class_of(row("D>E")) == (
        "contradictory label: 'D>E' lies below 'D', and fewer rows say so; give every product the deepest category"
    )
    assert str(labels.class_of(row("G>H"))).startswith("contradictory label: 'G>H' lies below 'G'")


def test_contradictions_on_three_levels() -> None:
    """A>B beats A>B>C, then A loses against A>B; X>Y beats X>Y>Z, and X beats both."""
    leaves, reasons = resolve_contradictions({"A": 5, "A>B": 9, "A>B>C": 3, "X": 9, "X>Y": 5, "X>Y>Z": 3})
    assert leaves == ["A>B", "X"]
    assert set(reasons) == {"A", "A>B>C", "X>Y", "X>Y>Z"}
    assert reasons["X>Y>Z"].startswith("contradictory label: 'X>Y>Z' lies below 'X'")


def test_the_most_rows_stay() -> None:
    """Against every choice of labels of which none lies below another."""
    names = ["A", "A>B", "A>B>C", "A>B>D", "A>E", "A>E>F"]
    rng = np.random.default_rng(0)
    for _ in range(100):
        counts = {name: int(rng.integers(1, 20 // name.count(">") if ">" in name else 40)) for name in names}
        leaves, reasons = resolve_contradictions(counts)
        choices = [set(c) for size in range(1, 7) for c in combinations(names, size)]
        valid = [c for c in choices if not any(c.intersection(ancestors(name)) for name in c)]
        assert set(leaves) in valid
        assert sum(counts[leaf] for leaf in leaves) == max(sum(counts[name] for name in c) for c in valid)
        assert set(reasons) == set(names) - set(leaves)


def test_the_shops_own_tree(tmp_path: Path, tree_file: Path) -> None:
    """All leaves are classes; labels are paths or ids; what is no leaf is rejected."""
    labels = read_labels(write_catalog(tmp_path, {"패션 > 셔츠": 2, "11": 1, "패션": 1, "21": 3}), tree_file)
    assert labels.taxonomy.leaves == ("가전>모니터", "패션>바지", "패션>셔츠")
    assert labels.class_counts.tolist() == [3, 0, 3]
    assert [labels.class_of(row(label)) for label in ("패션>셔츠", "11", "12")] == [2, 2, 1]
    above = "label above the leaves: taxonomy.csv has others below '패션', such as '패션>바지'; give one"
    assert labels.class_of(row("패션")) == above
    assert labels.class_of(row("1")) == above
    assert labels.class_of(row("패션>셔츠>린넨")) == (
        "unknown label: '패션>셔츠>린넨' is not a leaf of taxonomy.csv; did you mean '패션>셔츠'?"
    )


def test_a_path_wins_over_an_id_of_the_same_text() -> None:
    labels = LabelSpace(Taxonomy(["A", "B"], {"A": "B", "B": "7"}), "tree")
    assert [labels.class_of(row(label)) for label in ("A", "B", "7")] == [0, 1, 1]


def test_no_label_at_all(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("product_id,product_name\np1,name\n", encoding="utf-8")
    with pytest.raises(
        CatalogError, match=r"train\.csv: expected rows with a category, found none; .*category=HEADING"
    ):
        read_labels(path)


def test_no_label_of_the_tree(tmp_path: Path, tree_file: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"expected labels that are leaves of taxonomy\.csv, found none, but 'Shoes'"
    ):
        read_labels(write_catalog(tmp_path, {"Shoes": 2}), tree_file)


@pytest.fixture
def padded_tree(tmp_path: Path) -> Path:
    path = tmp_path / "taxonomy.csv"
    path.write_text("category_id,category\n0123,A\n0200,B\n300,C\n", encoding="utf-8")
    return path


def test_ids_that_lost_their_leading_zeros_are_named(tmp_path: Path, padded_tree: Path) -> None:
    labels = read_labels(write_catalog(tmp_path, {"123": 2, "0200": 1, "301": 1}), padded_tree)
    assert labels.class_of(row("123")) == ("lost leading zeros: the id '0123' is '123' here; export the column as text")
    assert str(labels.class_of(row("301"))).startswith("unknown label: '301'")


def test_a_catalog_whose_ids_all_lost_their_zeros_says_so(tmp_path: Path, padded_tree: Path) -> None:
    with pytest.raises(CatalogError, match="found none, but 'x'; ids lost leading zeros: the id '0123' is '123' here"):
        read_labels(write_catalog(tmp_path, {"x": 1, "123": 2}), padded_tree)


def test_an_id_that_another_category_has_without_zeros_is_that_category(tmp_path: Path) -> None:
    tree = tmp_path / "tree.csv"
    tree.write_text("category_id,category\n0123,A\n123,B\n", encoding="utf-8")
    assert read_labels(write_catalog(tmp_path, {"123": 2, "0123": 1}), tree).class_counts.tolist() == [1, 2]
