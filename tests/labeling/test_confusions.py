"""labeling confusions and merge on a shop where two categories are drawn from one pool, by coin."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeling.commands.confusions_command import ConfusionsCommand, run_confusions
from labeling.commands.merge_command import MergeCommand, run_merge
from labeling.settings import ConfusionSettings
from model.errors import LabelingError, SettingsError
from tests.labeling.support import TREE, planted_rows, read_rows, write_rows

SHOVELS, SPADES = "Home>Garden>Shovels", "Home>Garden>Spades"
_POOL = ("shovel", "dig", "handle", "soil", "blade")


@dataclass(frozen=True)
class Planted:
    catalog: Path
    out: Path
    said: str


def pool_rows(num_rows: int, seed: int) -> list[dict[str, str]]:
    random = np.random.default_rng(seed)
    return [
        {
            "product_id": f"s{number}",
            "product_name": f"{' '.join(random.choice(_POOL, 3, replace=False))} {random.integers(10**6)}",
            "color": 'gr"een,\nlight',
            "category": f" {SHOVELS} " if random.random() < 0.53 else SPADES,
        }
        for number in range(num_rows)
    ]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, toy_cache: Path) -> Planted:
    folder = tmp_path_factory.mktemp("confusions")
    rows, _ = planted_rows(300, 0.0, seed=2)
    catalog = write_rows(folder / "shop.csv", [*rows, *pool_rows(120, seed=3)])
    said = run_confusions(ConfusionsCommand(catalog, folder / "out", cache_dir=toy_cache))
    return Planted(catalog, folder / "out", said)


@pytest.fixture
def merge(planted: Planted, toy_cache: Path, tmp_path: Path) -> Callable[..., str]:
    """Edit the plan, then merge."""

    def run(edit: Callable[[dict[str, Any]], object], **changes: Any) -> str:
        values = json.loads((planted.out / "plan.json").read_text(encoding="utf-8"))
        edit(values)
        plan = tmp_path / "plan.json"
        plan.write_text(json.dumps(values), encoding="utf-8")
        given = {"catalog": planted.catalog, "out": tmp_path / "new.csv", "cache_dir": toy_cache, "decided_by": "kim"}
        return run_merge(MergeCommand(plan, **{**given, **changes}))

    return run


def kind_rows(num_kinds: int, num_rows: int, seed: int) -> list[dict[str, str]]:
    """Rows of kinds with words of their own, each a category of one of two parents."""
    random = np.random.default_rng(seed)
    rows = []
    for kind in range(num_kinds):
        words = ["".join(random.choice(list("bdfgklmnprstaeiou"), 7)) for _ in range(6)]
        for number in range(num_rows):
            name = f"{' '.join(random.choice(words, 4, replace=False))} {random.integers(10**6)}"
            row = {"product_id": f"k{kind}-{number}", "product_name": name, "color": "red"}
            rows.append({**row, "category": f"Part {kind % 2}>Kind {kind}"})
    return rows


def test_a_leaf_of_two_kinds_is_to_be_split_and_no_other(toy_cache: Path, tmp_path: Path) -> None:
    rows = kind_rows(10, 60, seed=4)
    for row in rows:
        if row["category"] == "Part 0>Kind 2":
            row["category"] = "Part 0>Kind 0"
    catalog = write_rows(tmp_path / "shop.csv", rows)
    said = run_confusions(ConfusionsCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    assert said.startswith("1 proposals: 0 to merge, 0 to redefine, 1 to split")
    (proposal,) = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))["proposals"]
    assert (proposal["kind"], proposal["categories"]) == ("split", ["Part 0>Kind 0"])
    assert len(set(proposal["new_paths"])) == 2
    assert all(path.startswith("Part 0>Kind 0 (") for path in proposal["new_paths"])
    evidence = proposal["evidence"]
    assert evidence["likeness_of_kinds"] <= evidence["counts_as_two_up_to"]
    assert {evidence["of_the_first_kind"], evidence["of_the_second_kind"]} == {60}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert len(re.findall('class="product bare"', page)) == 8  # typical ones of both kinds


def test_nothing_is_split_where_leaves_look_like_two_siblings_often(toy_cache: Path, tmp_path: Path) -> None:
    rows = kind_rows(12, 60, seed=5)
    for row in rows:  # every leaf is of two kinds
        kind = int(row["category"].rpartition(" ")[2])
        row["category"] = f"Part {kind % 2}>Kind {kind // 4 * 4 + kind % 2}"
    catalog = write_rows(tmp_path / "shop.csv", rows)
    said = run_confusions(ConfusionsCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    assert said.startswith("no confusions: all of 6 categories")


def accept(values: dict[str, Any]) -> None:
    values["proposals"][0]["accepted"] = True


def test_what_no_one_can_tell_apart_is_to_be_merged_and_nothing_else(planted: Planted) -> None:
    plan = json.loads((planted.out / "plan.json").read_text(encoding="utf-8"))
    (proposal,) = plan["proposals"]
    assert (proposal["kind"], proposal["categories"], proposal["accepted"]) == ("merge", [SHOVELS, SPADES], False)
    assert proposal["new_paths"] == [SHOVELS]
    assert proposal["evidence"]["confusion"] > 0.8
    assert proposal["evidence"]["products"] == 120
    assert planted.said.startswith("1 proposals: 1 to merge, 0 to redefine, 0 to split; look at")


def test_tables_and_page_say_how_undecided_each_category_is(planted: Planted) -> None:
    rows = {row["category"]: row for row in read_rows(planted.out / "entropy.csv")}
    assert set(list(rows)[:2]) == {SHOVELS, SPADES}
    assert 1.6 < float(rows[SPADES]["like_categories"]) < 2.3
    assert rows[SPADES]["most_confused_with"] == SHOVELS
    assert max(float(rows[path]["prediction_entropy_bits"]) for path in TREE) < 0.8
    pairs = read_rows(planted.out / "pairs.csv")
    assert (pairs[0]["category"], pairs[0]["other"]) == (SHOVELS, SPADES)
    assert all(float(pair["confusion"]) < 0.3 for pair in pairs[1:])
    page = (planted.out / "report.html").read_text(encoding="utf-8")
    assert "1 proposals for 7 categories" in page
    assert "http" not in page.replace("http-equiv", "")
    assert len(re.findall('class="product bare"', page)) == 8


def test_a_merge_changes_the_labels_of_its_categories_alone(
    planted: Planted, merge: Callable[..., str], tmp_path: Path
) -> None:
    said = merge(accept)
    old, new = read_rows(planted.catalog), read_rows(tmp_path / "new.csv")
    num_spades = sum(row["category"] == SPADES for row in old)
    for before, after in zip(old, new, strict=True):
        path = SHOVELS if before["category"] == SPADES else before["category"]
        assert after == {**before, "category": path}
    assert said.startswith(f"2 categories are 1 now, {num_spades} labels changed; ")
    assert f"python -m training train --catalog {tmp_path / 'new.csv'} --bundle DIR" in said
    log = read_rows(tmp_path / "new.csv.changes.csv")
    assert len(log) == num_spades
    assert {(row["changed_by"], row["before"], row["after"]) for row in log} == {("kim", SPADES, SHOVELS)}


def test_a_merge_into_a_new_path_writes_the_shops_tree_anew(
    planted: Planted, merge: Callable[..., str], tmp_path: Path
) -> None:
    tree = [*TREE, SHOVELS, SPADES, "Toys>Trains"]
    rows = [{"category_id": str(number), "category": path} for number, path in enumerate(tree)]
    taxonomy = write_rows(tmp_path / "tree.csv", rows)

    def rename(values: dict[str, Any]) -> None:
        accept(values)
        values["proposals"][0]["new_paths"] = [" Home > Garden > Digging "]

    said = merge(rename, taxonomy=taxonomy)
    assert "120 labels changed" in said
    assert f"--taxonomy {tmp_path / 'new.csv.taxonomy.csv'}" in said
    ids = {row["category"]: row["category_id"] for row in read_rows(tmp_path / "new.csv.taxonomy.csv")}
    assert ids["Home>Garden>Digging"] == ""
    assert ids["Toys>Trains"] == "7"
    assert not ids.keys() & {SHOVELS, SPADES}


def test_a_comparison_scores_both_on_the_merged_tree(merge: Callable[..., str]) -> None:
    said = merge(accept, compare=True)
    found = re.search(
        r"([\d.]+) on the tree as it was; on the merged tree ([\d.]+) .* and ([\d.]+) of a model of", said
    )
    assert found is not None
    unmerged, before, after = map(float, found.groups())
    assert unmerged < 0.92
    assert before > 0.97
    assert after > 0.97
    gains = re.search(r"p = [\d.]+\): ([+-][\d.]+) is bookkeeping, ([+-][\d.]+) comes of learning", said)
    assert gains is not None
    assert float(gains[1]) == pytest.approx(before - unmerged, abs=2e-4)
    assert float(gains[2]) == pytest.approx(after - before, abs=2e-4)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda values: None, r'expected an accepted merge, found none among 1 proposals; set "accepted": true'),
        (
            lambda values: values["proposals"][0].update(accepted=True, categories=[SHOVELS, "Home>Garden>Spade"]),
            r"plan.json, proposal 1: unknown category: 'Home>Garden>Spade' is no leaf of shop.csv; did you mean"
            r" 'Home>Garden>Spades'\?",
        ),
        (
            lambda values: values["proposals"][0].update(accepted=True, new_paths=["Toys>Dolls"]),
            r"proposal 1: the new path 'Toys>Dolls' is another category; add that to `categories`",
        ),
        (
            lambda values: values["proposals"][0].update(accepted=True, new_paths=["Home>Garden"]),
            r"a merge's new path does not fit the tree: category 'Home>Garden>Hoses' lies below 'Home>Garden'",
        ),
        (lambda values: values["proposals"][0].update(accepted="yes"), r"expected true or false for accepted, found "),
        (lambda values: values["proposals"][0].update(category="x"), r"proposal 1: expected accepted, categories, "),
        (lambda values: values.update(format=2), r"expected a plan of format 1; run labeling confusions"),
        (
            lambda values: accept(values) or values["proposals"].append(values["proposals"][0]),
            r"proposal 2: 'Home>Garden>Shovels' is in another accepted merge, too; accept one of them",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    edit: Callable[[dict[str, Any]], object], expected: str, merge: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(LabelingError, match=expected):
        merge(edit)
    assert not (tmp_path / "new.csv").exists()


def test_the_plan_of_another_catalog_is_refused(planted: Planted, merge: Callable[..., str], tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.csv", read_rows(planted.catalog)[1:])
    expected = r"other.csv: expected the catalog shop.csv as it was when the plan was made, found other content; run"
    with pytest.raises(LabelingError, match=expected):
        merge(accept, catalog=other)


def test_a_plan_that_is_no_plan_is_refused(planted: Planted, toy_cache: Path, tmp_path: Path) -> None:
    command = MergeCommand(tmp_path / "plan.json", planted.catalog, tmp_path / "new.csv", cache_dir=toy_cache)
    with pytest.raises(LabelingError, match=r"plan.json cannot be read: No such file or directory; check the path"):
        run_merge(command)
    command.plan.write_text("{", encoding="utf-8")
    with pytest.raises(LabelingError, match=r"plan.json: expected JSON, found "):
        run_merge(command)


def test_a_shop_without_confusions_hears_it(toy_cache: Path, tmp_path: Path) -> None:
    rows, _ = planted_rows(202, 0.0, seed=4)
    few = [
        {**rows[0], "product_id": f"few{i}", "category": "Toys>Kites", "product_name": f"kite {i}"} for i in range(3)
    ]
    catalog = write_rows(tmp_path / "shop.csv", [*rows, *few])
    said = run_confusions(ConfusionsCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    assert said.startswith(
        "no confusions: all of 5 categories are distinguished; 1 have fewer than 20 products and are not judged; see"
    )
    assert "No proposals: all of the 5 categories" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_settings_are_checked() -> None:
    with pytest.raises(SettingsError, match="least_confusion: expected more than 0, at most 1, found 0"):
        ConfusionSettings(least_confusion=0)
