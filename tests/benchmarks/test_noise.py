"""The noise benchmark without its trainings: what is planted, which runs there are, what is made again."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.catalog_variants import Row, read_rows, write_rows
from benchmarks.labeling import noise
from benchmarks.labeling.corrections import issue_corrections, refurbished_corrections
from benchmarks.labeling.label_review import PRUNED, REVIEWED, cleaned_catalog
from benchmarks.labeling.noise import Options, Run, measure, runs
from benchmarks.labeling.planted_noise import KINDS, plant

CATEGORIES = ("Clothes>Shirts", "Clothes>Trousers", "Toys>Dolls", "Books")
WORDS = ("shirt cotton", "trousers denim", "doll baby", "novel paper")


def shop(count: int = 200) -> list[Row]:
    return [
        {"product_id": str(i), "product_name": f"{WORDS[i % 4]} {i}", "category": CATEGORIES[i % 4]}
        for i in range(count)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_the_share_is_exact_and_seeded_and_nothing_else_changes(kind: str, rate: float) -> None:
    rows = shop()
    planted = plant(rows, kind, rate, seed=3)
    wrong = [i for i, (old, new) in enumerate(zip(rows, planted, strict=True)) if old["category"] != new["category"]]
    assert len(wrong) == round(rate * len(rows))
    assert rows == shop()
    assert [{**row, "category": ""} for row in planted] == [{**row, "category": ""} for row in rows]
    assert {row["category"] for row in planted} <= set(CATEGORIES)
    assert planted == plant(rows, kind, rate, seed=3)
    assert rate == 0 or planted != plant(rows, kind, rate, seed=4)


def test_siblings_share_their_parent_where_they_have_one() -> None:
    rows = shop()
    moves = Counter(
        (old["category"], new["category"])
        for old, new in zip(rows, plant(rows, "sibling", 0.5, seed=0), strict=True)
        if old != new
    )
    shirts = {new for old, new in moves if old == "Clothes>Shirts"}
    assert shirts == {"Clothes>Trousers"}
    assert {new for old, new in moves if old == "Toys>Dolls"} == set(CATEGORIES) - {"Toys>Dolls"}


def test_names_that_look_like_another_category_are_confused_first() -> None:
    rows = shop()
    rows[0]["product_name"] = "doll baby 4"  # of Shirts
    planted = plant(rows, "instance", 0.02, seed=0)
    assert planted[0]["category"] == "Toys>Dolls"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of symmetric, sibling, instance and 2 categories, found x"):
        plant(shop(), "x", 0.1, 0)
    with pytest.raises(SystemExit, match=r"--methods: expected some of default, .*, found magic"):
        Options(methods=("magic",))


def test_a_tau_is_right_halved_or_doubled_and_nothing_planted_is_measured_once() -> None:
    options = Options(rates=(0.0, 0.4), kinds=("sibling", "symmetric"), methods=("default", "selfie"), seeds=2)
    found = list(runs(options))
    assert len(found) == len(set(found)) == 2 * 3 * 4
    assert [run.flags()[-2:] for run in found if run.kind == "sibling" and run.seed == 0] == [
        ["--seed", "0"],
        ["--noise-rate", "0.4"],
        ["--noise-rate", "0.2"],
        ["--noise-rate", "0.8"],
    ]
    clean = next(run for run in found if run.kind == "none" and run.tau_factor == 1)
    assert clean.flags() == ["--noise", "selfie", "--seed", "0", "--noise-rate", "0.1"]


def test_finished_runs_are_not_made_again_and_a_network_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, count in (("train", 60), ("val", 20)):
        write_rows(tmp_path / "naver2019" / f"{name}.csv", shop(count))
    calls: list[list[str]] = []

    def recording(*arguments: str | Path) -> tuple[float, float]:
        calls.append([str(argument) for argument in arguments])
        report = tmp_path / "out" / "report"
        report.mkdir(parents=True, exist_ok=True)
        heads = {"name": {"accuracy": 0.5}, "linear": {"accuracy": 0.625}}
        (report / "metrics.json").write_text(json.dumps({"accuracy": 0.75, "heads": heads}))
        return 3.0, 100.0

    monkeypatch.setattr(noise, "run_training", recording)
    call = ["noise", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--rows", "40", "--val-rows", "10"]
    call += ["--test-rows", "20", "--rates", "0.5", "--kinds", "sibling", "--seeds", "1", "--methods"]
    monkeypatch.setattr(sys, "argv", [*call, "default", "fixed-cost"])
    noise.main()
    trainings = [arguments for arguments in calls if arguments[0] == "train"]
    states = {arguments[arguments.index("--work-dir") + 1] for arguments in trainings}
    assert (len(trainings), len(states)) == (2, 1)
    train, val = (Path(trainings[0][trainings[0].index(flag) + 1]) for flag in ("--train", "--val"))
    assert [len(read_rows(path)) for path in (train, val)] == [40, 10]
    assert "0.7500 (0.7500)" in capsys.readouterr().out

    monkeypatch.setattr(sys, "argv", [*call, "default", "fixed-cost", "elr"])
    noise.main()
    assert [arguments[-2:] for arguments in calls[4:] if arguments[0] == "train"] == [["--seed", "0"]]
    assert "elr" in calls[4]


def test_the_heads_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "naver2019" / "train.csv", shop(60))
    write_rows(tmp_path / "naver2019" / "val.csv", shop(20))
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "metrics.json").write_text(
        json.dumps({"accuracy": 0.75, "heads": {"linear": {"accuracy": 0.5}}})
    )
    monkeypatch.setattr(noise, "run_training", lambda *_: (7.0, 1.0))
    options = Options(data=tmp_path, out=tmp_path, rows=40, val_rows=10, test_rows=20)
    found = measure(Run("default", "none", 0.0, 0.0, 0), options)
    assert found == {"accuracy": 0.75, "train_s": 7.0, "linear_head": 0.5}


def test_issues_are_pruned_or_get_their_right_labels(tmp_path: Path) -> None:
    right = shop()
    path = write_rows(tmp_path / "train.csv", plant(right, "symmetric", 0.1, seed=0))
    truth = {row["product_id"]: row["category"] for row in right}
    wrong = {row["product_id"] for row in read_rows(path) if row["category"] != truth[row["product_id"]]}
    reviewed = read_rows(cleaned_catalog(path, right, REVIEWED, tmp_path / "cache"))
    still_wrong = {row["product_id"] for row in reviewed if row["category"] != truth[row["product_id"]]}
    assert [row["product_id"] for row in reviewed] == list(truth)
    assert still_wrong < wrong
    assert len(still_wrong) <= len(wrong) / 4
    pruned = {row["product_id"] for row in read_rows(cleaned_catalog(path, right, PRUNED, tmp_path / "cache"))}
    assert pruned & wrong == still_wrong
    assert len(pruned) >= 0.85 * len(right)
    found = issue_corrections(tmp_path / "train-pruned.csv", read_rows(path), right)
    assert found["recall"] == (len(wrong) - len(still_wrong)) / len(wrong)
    assert found["precision"] == (len(wrong) - len(still_wrong)) / (len(right) - len(pruned))


def test_labels_that_selfie_replaced_are_compared_with_the_right_ones(tmp_path: Path) -> None:
    right = shop(8)  # Shirts, Trousers, Dolls, Books; sorted: Books, Shirts, Trousers, Dolls
    given = [{**row} for row in right]
    given[0]["category"] = given[1]["category"] = given[2]["category"] = "Books"
    # The first is corrected, the second replaced by another wrong one, the fourth confirmed, a right one spoiled.
    learned = np.array([1, 3, -1, 0, 0, -1, -1, -1], np.int32)
    np.savez(tmp_path / "state.npz", **{"further/refurbished": learned})
    assert refurbished_corrections(tmp_path, given, right) == {"precision": 1 / 3, "recall": 1 / 3}
