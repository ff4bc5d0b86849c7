"""The acceptance benchmark without its data: derived catalogs, bounds and missing sets."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import parts, targets
from benchmarks.accuracy.catalog_variants import draw_samples, read_rows, type_word_remover, write_rows
from benchmarks.accuracy.parts import Catalogs, Paths, Requirement, mwpd2020, small_sample, train_and_evaluate
from benchmarks.commands import run_training


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("Puma Men Black Tshirts", "Puma Men Black"),
        ("Puma Men Black T-Shirt", "Puma Men Black"),
        ("Tee SHIRT, blue", "Tee blue"),
        ("Red Watch and watches", "Red and"),
        ("Flip-Flop by Dresscode", "by Dresscode"),
        ("dress", ""),
        ("A casualty of shoelaces", "A casualty of shoelaces"),
    ],
)
def test_words_for_the_type_are_removed_in_singular_plural_and_compounds(name: str, left: str) -> None:
    types = ("Apparel>Topwear>Tshirts", "x>Shirts", "x>Watches", "x>Flip Flops", "x>Dresses", "x>Casual Shoes")
    assert type_word_remover(types)(name) == left


def test_samples_are_disjoint_and_seeded() -> None:
    rows = [{"product_id": str(i)} for i in range(20)]
    first, second = draw_samples(rows, (12, 8), seed=3)
    assert sorted(row["product_id"] for row in first + second) == sorted(row["product_id"] for row in rows)
    assert draw_samples(rows, (12, 8), seed=3)[0] == first
    assert draw_samples(rows, (12, 8), seed=4)[0] != first
    with pytest.raises(ValueError, match="expected at least 21 rows to draw from, found 20"):
        draw_samples(rows, (12, 9), seed=3)


def test_a_derived_catalog_finds_the_pictures_of_the_original(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    rows = [{"product_id": "1", "image": "images/1.jpg"}, {"product_id": "2", "image": ""}]
    write_rows(tmp_path / "shop" / "train.csv", rows)
    write_rows(tmp_path / "made" / "train.csv", read_rows(tmp_path / "shop" / "train.csv"))
    with (tmp_path / "made" / "train.csv").open(newline="") as file:
        images = [row["image"] for row in csv.DictReader(file)]
    assert images == [str(tmp_path.resolve() / "shop" / "images" / "1.jpg"), ""]


def test_a_bound_is_met_up_to_rounding_errors() -> None:
    assert Requirement("x", 0.915, 0.915).is_met
    assert not Requirement("x", 0.915, 19_084 / 20_857).is_met  # 0.91499
    assert Requirement("x", -0.01, 0.90 - 0.91).is_met
    assert Requirement("x", 0.02, 0.02, is_upper=True).is_met
    assert not Requirement("x", 0.02, 0.02004, is_upper=True).is_met


def metrics(accuracy: float, difference: float) -> dict[str, Any]:
    """Metrics of an evaluation, as far as the requirements need them."""
    svm = {
        "accuracy": accuracy - difference,
        "average_weighted_f1": 0.865,
        "coverage_at_precision": {"0.98": 0.55},
        "comparison": {"difference": difference},
    }
    fitted = {"expected_calibration_error": 0.03, "leaf_accepted_share": 0.7, "leaf_accepted_precision": None}
    return {
        "accuracy": accuracy,
        "average_weighted_f1": 0.88,
        "baselines": {"baselines": {"tfidf_linear_svm": svm}},
        "calibration": {"cross_fitted": fitted, "stored": {"expected_calibration_error": 0.01}},
        "contract": {"leaf_accepted_share": 0.72, "leaf_accepted_precision": 0.99},
        "field_grid": {
            "given": [
                {"fields": ["name"], "accuracy": accuracy - 0.02},
                {"fields": ["mall_category"], "accuracy": 0.7},
                {"fields": ["name", "mall_category"], "accuracy": accuracy},
            ]
        },
    }


def test_requirements_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(_: Paths, name: str, *__: Any, **flags: Any) -> tuple[dict, float]:
        lacks = {"mwpd2020": [], "mwpd2020-without-name": ["mall_category"], "mwpd2020-without-mall_category": ["name"]}
        assert list(flags.get("fields", ())) == lacks[name]
        return metrics({"mwpd2020-without-name": 0.715}.get(name, 0.84), -0.01), 10.0

    monkeypatch.setattr(parts, "train_and_evaluate", trained)
    f1, error, coverage, no_name, no_mall_category = mwpd2020(Paths(tmp_path, tmp_path, tmp_path))
    assert (f1.measured, f1.baseline, f1.is_met) == (0.88, 0.865, True)
    assert (error.measured, error.is_met) == (0.03, False)
    assert (coverage.measured, coverage.baseline, coverage.is_met) == (0.7, 0.55, True)
    assert (round(no_name.measured, 4), no_name.is_met, no_name.note) == (-0.015, False, "0.7000 and 0.7150")
    assert (round(no_mall_category.measured, 4), no_mall_category.is_met) == (-0.02, False)
    assert coverage.note == "precision none; stored thresholds 0.7200 at 0.9900; SVM with hindsight"


def test_both_models_train_on_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    differences = iter((0.02, -0.01))
    trained: list[tuple[Catalogs, int]] = []

    def recording(_: Paths, __: str, catalogs: Catalogs, *, seed: int, with_pictures: bool) -> tuple[dict, float]:
        assert not with_pictures
        trained.append((catalogs, seed))
        return metrics(0.7, next(differences)), 1.0

    monkeypatch.setattr(parts, "train_and_evaluate", recording)
    rows = [{"product_id": str(i), "category": "a"} for i in range(30)]
    write_rows(tmp_path / "mwpd2020" / "train.csv", rows)
    (requirement,) = small_sample(Paths(tmp_path, tmp_path, tmp_path / "out"), "mwpd2020", 20, 5, seeds=2)
    assert requirement.measured == pytest.approx(0.005)
    assert requirement.is_met
    assert requirement.note == "joint 0.7000, SVM 0.6950; differences +0.0200, -0.0100 ± 0.0212"
    assert [seed for _, seed in trained] == [0, 1]
    first, second = (catalogs for catalogs, _ in trained)
    assert [len(read_rows(path)) for path in (first.train, first.val)] == [20, 5]
    assert read_rows(first.train) != read_rows(second.train)
    assert first.test == second.test == tmp_path / "mwpd2020" / "val.csv"


def test_training_and_evaluation_get_the_same_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def recording(*arguments: str | Path) -> tuple[float, float]:
        calls.append([str(argument) for argument in arguments])
        report = tmp_path / "set-report"
        report.mkdir(exist_ok=True)
        (report / "metrics.json").write_text(json.dumps({"accuracy": 0.5}))
        return 3.0, 100.0

    monkeypatch.setattr(parts, "run_training", recording)
    catalogs = Catalogs(Path("t.csv"), Path("v.csv"), Path("m.csv"))
    found = train_and_evaluate(Paths(tmp_path, Path("w"), tmp_path), "set", catalogs, seed=4, with_pictures=True)
    assert found == ({"accuracy": 0.5}, 3.0)
    assert "--fields" not in calls[0]
    train, evaluate = calls
    assert train[train.index("--train") + 1] == evaluate[evaluate.index("--baseline") + 1] == "t.csv"
    assert train[train.index("--val") + 1] == "v.csv"
    assert evaluate[evaluate.index("--catalog") + 1] == "m.csv"
    assert train[train.index("--seed") + 1] == "4"
    assert train[train.index("--image-weights") + 1].startswith("w/")
    train_and_evaluate(Paths(tmp_path, Path("w"), tmp_path), "set", catalogs, fields=("name", "brand"))
    assert calls[2][calls[2].index("--fields") :] == ["--fields", "name", "brand"]


def test_missing_data_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "fashion224").mkdir(parents=True)
    arguments = [
        "accuracy",
        "--data",
        str(tmp_path / "data"),
        "--weights",
        str(tmp_path / "none"),
        "--parts",
        "samples",
    ]
    monkeypatch.setattr("sys.argv", arguments)
    targets.main()
    text = capsys.readouterr().out.replace("\n", "")
    assert f"fashion224: skipped, {tmp_path / 'none'} is missing; give its folder with --data or --weights" in text
    assert f"mwpd2020: skipped, {tmp_path / 'data' / 'mwpd2020'} is missing" in text
    assert text.endswith("nothing was measured")


def test_an_unknown_part_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["accuracy", "--parts", "mwpd"])
    with pytest.raises(
        SystemExit, match="--parts: expected some of naver2019, mwpd2020, fashion224, samples, found mwpd"
    ):
        targets.main()


def test_a_failed_command_ends_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training evaluate .* failed:\n(.|\n)*is no bundle"):
        run_training("evaluate", "--bundle", tmp_path, "--catalog", tmp_path / "x.csv", "--report", tmp_path / "r")
