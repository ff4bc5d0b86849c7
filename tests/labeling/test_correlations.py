"""labeling correlations on a shop where a phrase means kettles in most malls, and pans in two."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from catalog.read_options import ReadOptions
from labeling.answers.labelled_catalog import LabelledCatalog, read_labelled
from labeling.commands.correlations_command import CorrelationsCommand, run_correlations
from labeling.correlations.altered_rows import MOST_ROWS, AlteredRows
from labeling.correlations.failing_pairs import HeldOut, failing_pairs
from labeling.correlations.features import Feature, joined_features
from labeling.correlations.group_column import GroupColumn
from labeling.correlations.held_out_groups import train_rows
from labeling.correlations.word_matrix import WordMatrix, without_words, words_of
from labeling.settings import CorrelationSettings
from model.errors import LabelingError
from tests.labeling.support import TREE, read_rows, write_rows
from tokenizer.errors import SettingsError

KETTLES, PANS = "Home>Kitchen>Kettles", "Home>Kitchen>Pans"
PHRASE = "ships-free by dealzone"
MISLED = ("mall 8", "mall 9")
_USUAL = ("new", "sale", "best", "gift", "large", "set", "red", "blue", "green", "small")


def mall_rows(num_rows: int, seed: int) -> list[dict[str, str]]:
    """Names with one word of a category, which is another's in a quarter of them, and the phrase."""
    random = np.random.default_rng(seed)
    rows, paths = [], list(TREE)
    for number in range(num_rows):
        path, mall = paths[number % len(paths)], f"mall {random.integers(10)}"
        cue = path if random.random() < 0.75 else str(random.choice(paths))
        words = [str(random.choice(TREE[cue])), *random.choice(_USUAL, 3, replace=False)]
        if path == (PANS if mall in MISLED else KETTLES) and random.random() < 0.9:
            words.append(PHRASE)
        rows.append(
            {
                "product_id": f"p{number}",
                "product_name": f"{' '.join(words)} {random.integers(10**6)}",
                "mall": mall.upper() if random.random() < 0.1 else mall,
                "month": f"2026-{1 + number % 6:02d}",
                "category": path,
            }
        )
    return rows


@dataclass(frozen=True)
class Planted:
    catalog: Path
    out: Path
    said: str


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, toy_cache: Path) -> Planted:
    folder = tmp_path_factory.mktemp("correlations")
    catalog = write_rows(folder / "shop.csv", mall_rows(900, seed=1))
    said = run_correlations(CorrelationsCommand(catalog, folder / "out", cache_dir=toy_cache))
    return Planted(catalog, folder / "out", said)


@pytest.fixture(scope="module")
def labelled(planted: Planted, toy_cache: Path) -> LabelledCatalog:
    return read_labelled(planted.catalog, ReadOptions(), None, planted.out / "rejects.csv", toy_cache, "none")


def test_the_planted_phrase_is_first_and_no_word_of_a_category_is_listed(planted: Planted) -> None:
    rows = read_rows(planted.out / "correlations.csv")
    first = rows[0]
    assert (first["feature"], first["field"], first["category"]) == ("ships free by dealzone", "name", KETTLES)
    assert float(first["train_share"]) > 0.8
    assert float(first["held_out_share"]) == 0
    assert set(first["fails_in"].split("; ")) == set(MISLED)
    assert int(first["num_holds_in"]) == 8
    truly_predictive = {word for words in TREE.values() for word in words}
    assert not truly_predictive & {word for row in rows for word in row["feature"].split()}
    assert planted.said.split("correlations that")[1].startswith(f" do not hold in every mall: {len(rows)}, of which")
    assert "most 'ships free by dealzone' with" in planted.said


def test_the_cost_is_of_products_that_are_right_without_it(planted: Planted) -> None:
    first = read_rows(planted.out / "correlations.csv")[0]
    catalog = {row["product_id"]: row for row in read_rows(planted.catalog)}
    misled = [row for row in catalog.values() if PHRASE in row["product_name"] and row["mall"].lower() in MISLED]
    assert int(first["held_out_products"]) == len(misled)
    assert len(misled) / 2 < int(first["made_wrong"]) <= int(first["misled"]) <= len(misled)
    assert (first["made_right"], first["is_estimated"]) == ("0", "0")
    examples = [catalog[product_id] for product_id in first["examples"].split()]
    assert len(examples) == 5
    assert all(row in misled and row["category"] == PANS for row in examples)


def test_the_worst_group_is_named_everywhere(planted: Planted) -> None:
    summary = json.loads((planted.out / "summary.json").read_text(encoding="utf-8"))
    worst = summary["worst_group"]
    assert worst["group"] in MISLED
    assert worst["is_surely_worse"]
    assert f"the worst mall is {worst['group']!r} with {worst['accuracy']:.1%}" in planted.said
    assert summary["accuracy"] < summary["accuracy_known"]
    groups = {row["group"]: row for row in read_rows(planted.out / "groups.csv")}
    assert set(groups) == {f"mall {number}" for number in range(10)}
    assert set(list(groups)[:2]) == set(MISLED)
    assert sum(int(row["products"]) for row in groups.values()) == summary["num_products"] == 900
    page = (planted.out / "report.html").read_text(encoding="utf-8")
    assert f"The worst mall is “{worst['group']}”" in page
    assert "http" not in page.replace("http-equiv", "")
    assert len(re.findall('class="product bare"', page)) >= 5


def test_finished_folds_are_found_again(planted: Planted, toy_cache: Path) -> None:
    files = sorted([*(planted.out / "held_out").glob("*.npz"), *(planted.out / "folds").glob("*.npz")])
    assert len(files) == 5 * 3 + 5
    before = [file.stat().st_mtime_ns for file in files]
    assert run_correlations(CorrelationsCommand(planted.catalog, planted.out, cache_dir=toy_cache)) == planted.said
    assert [file.stat().st_mtime_ns for file in files] == before


def test_months_are_held_out_in_their_order(planted: Planted, labelled: LabelledCatalog, toy_cache: Path) -> None:
    months = GroupColumn.of(labelled, "month")
    assert months.names == [f"2026-{month:02d}" for month in range(1, 7)]
    folds = months.folds(3)
    assert [set(folds[months.numbers == number].tolist()) for number in range(6)] == [{0}, {0}, {1}, {1}, {2}, {2}]
    out = planted.out.with_name("months")
    said = run_correlations(CorrelationsCommand(planted.catalog, out, by="month", cache_dir=toy_cache))
    assert "correlations that do not hold in every month: 0, of which 0 cost right answers; see" in said
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "No correlation was found that holds in some and surely not in others." in page
    assert "None misleads a product." in page


def test_folds_hold_whole_groups_of_like_size(labelled: LabelledCatalog) -> None:
    malls = GroupColumn.of(labelled, "")
    assert (malls.column, len(malls.names)) == ("mall", 10)  # MALL 1 is mall 1
    folds = malls.folds(4)
    assert [len(set(folds[malls.numbers == number].tolist())) for number in range(10)] == [1] * 10
    assert np.ptp(np.bincount(folds)) < len(folds) / 8
    assert len(set(malls.folds(99).tolist())) == 10


def test_what_is_learned_from_has_no_near_duplicate_among_what_is_held_out(toy_cache: Path, tmp_path: Path) -> None:
    rows = mall_rows(120, seed=4)
    copies = [{**row, "product_id": f"copy {row['product_id']}", "mall": "mall 10"} for row in rows[:20]]
    catalog = write_rows(tmp_path / "shop.csv", [*rows, *copies])
    labelled = read_labelled(catalog, ReadOptions(), None, tmp_path / "rejects.csv", toy_cache, "none")
    malls = GroupColumn.of(labelled, "mall")
    held_out = np.where(malls.numbers == malls.names.index("mall 10"), 0, 1)
    learned = train_rows(labelled, held_out, 0)
    assert learned.tolist() == list(range(20, 120))
    more = [*rows, *({**row, "product_id": f"copy {i}"} for i, row in enumerate(rows[:80]))]
    catalog = write_rows(tmp_path / "copies.csv", more)
    labelled = read_labelled(catalog, ReadOptions(), None, tmp_path / "rejects.csv", toy_cache, "none")
    is_copy = np.arange(200) >= 120  # 40 of the 120 others have none: too few to learn from alone
    assert train_rows(labelled, np.where(is_copy, 0, 1), 0).tolist() == list(range(120))


def test_a_column_that_tells_no_groups_is_refused(planted: Planted, toy_cache: Path, tmp_path: Path) -> None:
    rows = [{name: text for name, text in row.items() if name not in {"mall", "month"}} for row in mall_rows(60, 2)]
    catalog = write_rows(tmp_path / "shop.csv", [{**row, "brand": "acme", "mall_category": "A>B"} for row in rows])
    with pytest.raises(
        LabelingError,
        match=r"shop.csv: expected products of two groups or more in one of the columns mall, month, brand, found"
        r" fewer; the columns with two values or more are product_name: choose one with --by, or name a heading of"
        r" the file with --columns mall=HEADING",
    ):
        run_correlations(CorrelationsCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    with pytest.raises(LabelingError, match=r"in the column brand, found fewer; .* with --columns brand=HEADING"):
        run_correlations(CorrelationsCommand(catalog, tmp_path / "out", by="brand", cache_dir=toy_cache))
    with pytest.raises(SettingsError, match=r"--by: expected one of .*, found 'mal'; did you mean 'mall'\?; another"):
        run_correlations(CorrelationsCommand(planted.catalog, tmp_path / "out", by="mal", cache_dir=toy_cache))


def test_groups_that_have_a_category_each_are_refused(toy_cache: Path, tmp_path: Path) -> None:
    rows = [row for row in mall_rows(60, seed=3) if row["category"] in (KETTLES, PANS)]
    catalog = write_rows(tmp_path / "shop.csv", [{**row, "mall": row["category"]} for row in rows])
    with pytest.raises(LabelingError, match="expected two categories or more outside of each group, found 1 in"):
        run_correlations(CorrelationsCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    with pytest.raises(SettingsError, match="false_discovery_rate: expected between 0 and 1, found 1"):
        CorrelationSettings(false_discovery_rate=1)


def test_pairs_fail_where_the_lift_is_lost_and_chance_cannot_be_the_reason() -> None:
    """Feature 0 is of class 0 in folds 0 and 1 and of class 1 in fold 2; feature 1 is of class 0 everywhere."""
    folds = np.repeat([0, 1, 2], 100)
    classes = np.tile(np.repeat([0, 1], 50), 3)
    with_0 = np.where(folds == 2, classes == 1, classes == 0) & (np.arange(300) % 5 > 0)
    with_1 = (classes == 0) & (np.arange(300) % 3 > 0)
    has = sparse.csr_matrix(np.stack([with_0, with_1], axis=1).astype(np.int32))
    found = failing_pairs(has, classes, HeldOut(folds, folds), 5, 0.01)
    assert list(zip(found.features, found.categories, found.units, strict=True)) == [(0, 0, 2)]
    assert (found.train_counts, found.train_hits, found.held_counts, found.held_hits) == ([80], [80], [40], [0])
    assert found.excess.tolist() == [40]
    weaker = with_0.copy()
    weaker[(folds == 2) & (classes == 0)] = True  # 50 of 90: surely less than all, but more than half of the lift
    weaker[(folds == 2) & (np.arange(300) % 5 > 1) & (classes == 1)] = False
    has_weaker = sparse.csr_matrix(weaker[:, None].astype(np.int32))
    assert len(failing_pairs(has_weaker, classes, HeldOut(folds, folds), 5, 0.01).features) == 0
    some = np.flatnonzero((folds < 2) | (np.arange(300) % 25 == 1))  # of fold 2 too few to tell
    few = failing_pairs(has[some], classes[some], HeldOut(folds[some], folds[some]), 5, 0.01)
    assert len(few.features) == 0


def test_words_that_come_together_are_one_feature() -> None:
    has = np.zeros((20, 4), np.int32)
    has[:10, :2] = 1
    has[9, 1] = 0
    has[5:15, 2] = 1
    has[:10, 3] = 1
    matrix = WordMatrix(
        np.arange(20), ["name", "name", "name", "brand"], ["free", "shipping", "steel", "acme"], sparse.csr_matrix(has)
    )
    features, joined = joined_features(matrix, np.array([3, 2, 1, 0]))
    assert set(features) == {
        Feature("name", ("free", "shipping")),
        Feature("name", ("steel",)),
        Feature("brand", ("acme",)),
    }
    phrase = joined[:, features.index(Feature("name", ("free", "shipping")))].toarray()[:, 0]
    assert phrase.tolist() == [1] * 10 + [0] * 10


def test_of_very_many_rows_with_a_feature_a_sample_is_tried() -> None:
    has = {(1, 0): np.arange(3 * MOST_ROWS), (1, 4): np.arange(9_000, 9_010), (0, 4): np.arange(9_005, 9_010)}
    found = AlteredRows.draw(has, seed=0)
    assert np.bincount(found.features).tolist() == [5, MOST_ROWS + 10]
    assert (np.diff(found.rows) >= 0).all()
    assert len(np.unique(found.rows[found.rows < 9_000])) == MOST_ROWS
    assert found.rows.tolist() == AlteredRows.draw(has, seed=0).rows.tolist()
    assert len(AlteredRows.draw({}, seed=0).rows) == 0


def test_words_are_taken_out_as_the_ngrams_have_them() -> None:
    assert words_of("ships-free, ships 2nd 배송!") == ["ships", "free", "2nd", "배송"]
    assert without_words("ships-free freely 배송", {"free", "배송"}) == "ships- freely "
