"""The sampling benchmark without its trainings: the long tail that is made, and figures by hand."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import sampling
from benchmarks.accuracy.catalog_variants import read_rows, write_rows
from benchmarks.accuracy.sampling import Options, Run, figures, runs, table

#: Categories a to f, of which head, middle and tail have two each.
SHARES = dict(zip("abcdef", (0.4, 0.3, 0.12, 0.1, 0.05, 0.03), strict=True))


def answers(rows: list[tuple[str, str, float]]) -> dict[str, float]:
    labels, found, probabilities = zip(*rows, strict=True)
    return figures(labels, found, np.array(probabilities), SHARES)


def test_right_answers_have_all_of_everything() -> None:
    found = answers([(name, name, 1.0) for name in SHARES for _ in range(5)])
    assert found == pytest.approx(
        {
            "accuracy": 1.0,
            "macro_f1": 1.0,
            "head": 1.0,
            "middle": 1.0,
            "tail": 1.0,
            "calibration_error": 0.0,
            "tail_surplus": 0.0,
        }
    )


def test_rows_count_by_the_share_of_their_category() -> None:
    """Half of a's rows are answered e; each category has two rows here, whatever its share."""
    rows = [(name, name, 0.9) for name in SHARES for _ in range(2)]
    rows[0] = ("a", "e", 0.6)
    found = answers(rows)
    assert found["accuracy"] == pytest.approx(0.8)
    assert (found["head"], found["middle"], found["tail"]) == pytest.approx((0.75, 1.0, 1.0))
    f1_a, f1_e = 2 * 0.2 / (0.4 + 0.2), 2 * 0.05 / (0.05 + 0.25)
    assert found["macro_f1"] == pytest.approx((f1_a + f1_e + 4) / 6)
    # Answers of the tail: 0.6 that is wrong and counts 0.2, and 0.9 that are right and count 0.05 and 0.03.
    assert found["tail_surplus"] == pytest.approx((0.2 * 0.6 - 0.08 * 0.1) / 0.28)
    assert found["calibration_error"] == pytest.approx(0.2 * 0.6 + 0.8 * 0.1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six categories of 60 rows to draw from and of 5 to measure on."""
    for name, count in (("train.csv", 360), ("val.csv", 30)):
        rows = [{"product_id": f"{i}", "product_name": f"name {i}", "category": "abcdef"[i % 6]} for i in range(count)]
        write_rows(tmp_path / "naver2019" / name, rows)
    return tmp_path


def test_shares_fall_as_often_as_asked_for_and_no_row_comes_twice(data: Path) -> None:
    options = Options(data, rows=80, val_rows=20, imbalance=20)
    shares = sampling._write_catalogs(data / "made", 0, options)
    assert sorted(shares) == list("abcdef")
    values = list(shares.values())
    assert values == sorted(values, reverse=True)
    assert values[0] / values[-1] == pytest.approx(20)
    train, val, test = (read_rows(data / "made" / f"{part}.csv") for part in ("train", "val", "test"))
    assert len(test) == 30
    assert not {row["product_id"] for row in train} & {row["product_id"] for row in val}
    for rows, total in ((train, 80), (val, 20)):
        counts = Counter(row["category"] for row in rows)
        assert counts == {category: max(round(share * total), 1) for category, share in shares.items()}
    assert sampling._write_catalogs(data / "made", 0, options) == shares
    assert sampling._write_catalogs(data / "other", 1, options) != shares


def test_too_many_rows_are_refused(data: Path) -> None:
    with pytest.raises(SystemExit, match=r"expected .* rows of ., found 60; give fewer --rows, or less --imbalance"):
        sampling._write_catalogs(data / "made", 0, Options(data, rows=300, val_rows=20, imbalance=20))


def test_each_method_is_assembled_with_the_correction_and_without() -> None:
    found = list(runs(Options(methods=("none", "sqrt"), seeds=2)))
    assert found[:3] == [Run("none", "on", 0), Run("sqrt", "on", 0), Run("sqrt", "off", 0)]
    assert len(found) == 6
    assert found[2].flags() == ["--sampling", "sqrt", "--prior-correction", "off", "--seed", "0"]
    with pytest.raises(
        SystemExit, match="--methods: expected some of none, cap, sqrt, temperature, adjustment, found x"
    ):
        Options(methods=("x",))


def test_finished_runs_are_not_made_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def measured(run: Run, _: Options) -> dict[str, float]:
        made.append(run)
        return {"train_s": 1.0, **answers([(name, name, 1.0) for name in SHARES])}

    out = data / "out"
    out.mkdir()
    monkeypatch.setattr(sampling, "measure", measured)
    flags = ["sampling", "--data", str(data), "--out", str(out), "--methods"]
    for methods, count in ((["none", "cap"], 3), (["none", "cap"], 3), (["none", "cap", "sqrt"], 5)):
        monkeypatch.setattr(sys, "argv", [*flags, *methods])
        sampling.main()
        assert len(made) == count
    record = json.loads((out / "sampling.json").read_text(encoding="utf-8"))
    assert table(list(record.values())).row_count == 5
