"""train-matcher, match and duplicates, from files to files."""

import csv
import json
from pathlib import Path

import pytest

from model.errors import CatalogError, MatcherError, SettingsError
from retrieval.commands.duplicates_command import DuplicatesCommand, run_duplicates
from retrieval.commands.match_command import MatchCommand, run_match
from retrieval.commands.train_matcher_command import TrainMatcherCommand, run_train_matcher
from retrieval.index.record import Attributes
from retrieval.matching.matcher.matcher_files import load_matcher
from retrieval.settings import MatcherSettings
from tests.retrieval.matching.support import fields, offers_of, write_catalog, write_pairs

QUICK = MatcherSettings(num_models=1, num_trees=60, num_folds=3)
NUM_PRODUCTS = 150


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalog(tmp_path_factory.mktemp("shop") / "shop.csv", offers_of(NUM_PRODUCTS, seed=1))


@pytest.fixture(scope="module")
def pairs(catalog: Path) -> Path:
    return write_pairs(catalog.with_name("pairs.csv"), NUM_PRODUCTS, seed=3)


@pytest.fixture(scope="module")
def matcher(catalog: Path, pairs: Path) -> Path:
    folder = catalog.with_name("matcher")
    run_train_matcher(TrainMatcherCommand(catalog, folder, (pairs,), settings=QUICK))
    return folder


def test_pairs_are_answered_in_order_and_bad_rows_cost_no_other(catalog: Path, matcher: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("left_id,right_id\np0,p1\np0,none\np3,p3\np1,p0\np0,p7\n", encoding="utf-8")
    said = run_match(MatchCommand(matcher, catalog, tmp_path / "asked.csv", tmp_path / "out.csv"))
    rows = read(tmp_path / "out.csv")
    assert [(row["left_id"], row["right_id"], row["is_same"]) for row in rows] == [
        ("p0", "p1", "1"),
        ("p1", "p0", "1"),
        ("p0", "p7", "0"),
    ]
    assert rows[0]["probability"] == rows[1]["probability"]
    assert said.startswith("3 pairs, 2 the same (from 0.")
    assert said.endswith("2 rows are left out, see " + str(tmp_path / "out.csv.rejects.csv"))


def test_a_promise_calls_fewer_pairs_the_same(catalog: Path, pairs: Path, matcher: Path, tmp_path: Path) -> None:
    counts = []
    for precision in (None, 0.9, 0.98):
        run_match(MatchCommand(matcher, catalog, pairs, tmp_path / "out.csv", precision))
        counts.append(sum(row["is_same"] == "1" for row in read(tmp_path / "out.csv")))
    assert counts[2] <= counts[1] <= counts[0] + 5
    run_match(MatchCommand(matcher, catalog, pairs, tmp_path / "out.csv", 0.9999))
    assert not any(row["is_same"] == "1" for row in read(tmp_path / "out.csv"))


def test_validation_pairs_are_measured_and_no_training_pairs(catalog: Path, pairs: Path, tmp_path: Path) -> None:
    val = write_pairs(tmp_path / "val.csv", NUM_PRODUCTS, seed=5)
    run_train_matcher(TrainMatcherCommand(catalog, tmp_path / "m", (pairs,), val, settings=QUICK))
    assert load_matcher(tmp_path / "m").description.metrics["validation"]["f1"] > 0.95
    with pytest.raises(SettingsError, match=r"--val-pairs: .*pairs\.csv is among --train-pairs; measure on others"):
        run_train_matcher(TrainMatcherCommand(catalog, tmp_path / "m", (pairs,), pairs, settings=QUICK))


def test_groups_of_a_catalog_teach_without_pairs(catalog: Path, tmp_path: Path) -> None:
    run_train_matcher(TrainMatcherCommand(catalog, tmp_path / "m", settings=QUICK))
    assert load_matcher(tmp_path / "m").description.learned_from == "group_id"


def test_duplicates_are_the_planted_groups(matcher: Path, catalog: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    command = DuplicatesCommand(catalog, tmp_path / "out.csv", matcher, questions=questions, num_questions=4)
    said = run_duplicates(command)
    groups: dict[str, list[int]] = {}
    for row in read(tmp_path / "out.csv"):
        groups.setdefault(row["group"], []).append(int(row["product_id"][1:]) // 2)
        assert 0.5 <= float(row["probability"]) <= 1
        assert row["double_listing"] == "0"
    assert len(groups) > 0.9 * NUM_PRODUCTS
    assert sum(len(set(products)) > 1 for products in groups.values()) <= 1
    assert said.startswith(f"{len(groups)} products with {sum(map(len, groups.values()))} offers, of 300 offers")
    asked = read(questions)
    assert list(asked[0]) == ["left_id", "right_id", "same", "probability", "reason"]
    assert len(asked) == 4
    assert all(row["same"] == "" and row["reason"] for row in asked)


def test_answered_questions_are_learned_from(catalog: Path, pairs: Path, matcher: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    run_duplicates(DuplicatesCommand(catalog, tmp_path / "out.csv", matcher, questions=questions, num_questions=6))
    lines = questions.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace(",,", ",1,", 1)
    questions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run_train_matcher(TrainMatcherCommand(catalog, tmp_path / "m", (pairs, questions), settings=QUICK))
    known = load_matcher(tmp_path / "m").description.metrics["cross_fitted"]["num_pairs"]
    assert known - load_matcher(matcher).description.metrics["cross_fitted"]["num_pairs"] in (0, 1)


def test_one_seller_s_double_listings_are_told_apart(matcher: Path, tmp_path: Path) -> None:
    offers = offers_of(60, seed=2)
    malls = ["A", "A", "B", "C"]
    listed = [Attributes(**{**fields(offer), "mall": malls[i % 4], "source": ""}) for i, offer in enumerate(offers)]
    run_duplicates(DuplicatesCommand(write_catalog(tmp_path / "c.csv", listed), tmp_path / "out.csv", matcher))
    for row in read(tmp_path / "out.csv"):
        assert row["double_listing"] == ("1" if int(row["product_id"][1:]) % 4 < 2 else "0")


def test_a_matcher_of_an_index_wants_one(matcher: Path, catalog: Path, pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "of_index"
    folder.mkdir()
    for path in matcher.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    description = json.loads((folder / "matcher.json").read_text(encoding="utf-8"))
    (folder / "matcher.json").write_text(json.dumps({**description, "embedding_checksum": "ab" * 32}), encoding="utf-8")
    with pytest.raises(
        MatcherError, match="expected an index of the embedding abababababab, as it was trained with, found no"
    ):
        run_match(MatchCommand(folder, catalog, pairs, tmp_path / "out.csv"))


def test_an_empty_catalog_is_refused(matcher: Path, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("product_id,product_name\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"empty\.csv: expected offers, found no good row, no row left out"):
        run_match(MatchCommand(matcher, tmp_path / "empty.csv", pairs, tmp_path / "out.csv"))


def test_the_page_shows_sure_pairs_that_would_change_something(matcher: Path, tmp_path: Path) -> None:
    offers = offers_of(60, seed=2)
    wrong = [Attributes(**{**fields(offers[0]), "category": "Garden>Hose"}), *offers[1:]]
    catalog = write_catalog(tmp_path / "c.csv", wrong)
    run_duplicates(DuplicatesCommand(catalog, tmp_path / "out.csv", matcher, report=tmp_path / "report"))
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    changed = page.partition('id="categories"')[2].partition("</section>")[0]
    assert "Garden&gt;Hose" in changed
    assert "products have several offers" in page
    assert 'class="for"' in changed
    assert "<script" not in page


def test_a_catalog_without_duplicates_gives_empty_files(matcher: Path, tmp_path: Path) -> None:
    names = ("red kettle", "oak table", "wool scarf")
    catalog = write_catalog(tmp_path / "c.csv", [Attributes(name) for name in names])
    questions = tmp_path / "questions.csv"
    command = DuplicatesCommand(catalog, tmp_path / "out.csv", matcher, questions=questions, report=tmp_path / "report")
    assert run_duplicates(command).startswith("0 products with 0 offers, of 3 offers")
    assert (read(tmp_path / "out.csv"), read(questions)) == ([], [])
    assert (tmp_path / "report" / "report.html").exists()
