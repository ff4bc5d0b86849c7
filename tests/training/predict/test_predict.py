"""Predictions for a catalog, one answer per row."""

import csv
import json
import os
import resource
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from catalog.read_options import ReadOptions
from model.errors import CatalogError
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import find_sub_tree
from tests.conftest import toy_rows, write_catalog
from training.commands.command_line import main
from training.encoding.file_lock import exclusive_or_holder
from training.predict.answered_catalog import AnsweredChunk, CatalogSource
from training.predict.predict import answer_rows, predict

COLUMNS = ["product_id", "category", "category_id", "probability", "accepted", "needs_review"]


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    return Predictor.open(toy_bundle)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """The rows of a catalog, 30 good ones, 2 with a dead picture and 2 bad ones, with ids in no order."""
    folder = tmp_path_factory.mktemp("shop")
    rows = toy_rows(folder, "p", 30)[::-1]
    (folder / "broken.jpg").write_bytes(b"no picture")
    rows.insert(3, {"product_id": "broken", "product_name": "셔츠", "image": "broken.jpg"})
    rows.insert(9, {"product_id": "lost", "product_name": "셔츠", "image": "lost.jpg"})
    rows.insert(15, {"product_id": "picture alone", "image": "lost.jpg"})
    rows.insert(20, {"product_id": "empty", "product_name": "---", "category": "x"})
    rows.insert(25, {"product_id": "p5", "product_name": "again"})
    return folder, rows


@pytest.fixture(scope="module")
def catalog(rows: tuple[Path, list[dict[str, str]]]) -> Path:
    return write_catalog(rows[0] / "shop.csv", rows[1])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def answered(predictor: Predictor, catalog: Path, tmp_path: Path) -> Path:
    """A folder with out.csv and rejects.csv, predicted in chunks of 8 rows so that worker processes encode."""
    source = CatalogSource(catalog, ReadOptions(), tmp_path / "cache", chunk_rows=8, batch_rows=5, image_batch_rows=3)
    counts = predict(predictor, source, tmp_path / "out.csv", tmp_path / "rejects.csv")
    assert counts == (32, 3)
    return tmp_path


def test_every_row_is_answered_in_order_or_rejected(answered: Path, rows: tuple[Path, list[dict[str, str]]]) -> None:
    listed = {row["product_id"]: row["reason"] for row in read_csv(answered / "rejects.csv")}
    assert listed.keys() == {"broken", "lost", "picture alone", "empty", "p5"}
    found = read_csv(answered / "out.csv")
    first = dict.fromkeys(row["product_id"] for row in rows[1])  # of a duplicate the first is answered
    assert [row["product_id"] for row in found] == [i for i in first if i not in ("picture alone", "empty")]
    assert listed["broken"].startswith("unreadable picture: broken.jpg: expected a JPEG")
    assert listed["lost"].startswith("unreadable picture: ")
    assert listed["broken"].endswith("; the row counts without it")
    assert listed["picture alone"].startswith("unreadable picture: ")
    assert not listed["picture alone"].endswith("; the row counts without it")
    assert listed["empty"].startswith("nothing to answer: expected a name")
    assert listed["p5"].startswith("duplicate product_id: ")


def test_too_many_dead_pictures_stop_it_unless_allowed(
    predictor: Predictor, rows: tuple[Path, list[dict[str, str]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    catalog = write_catalog(folder / "shop.csv", rows[1])
    arguments = ["predict", "--bundle", str(predictor.bundle.path), "--catalog", str(catalog)]
    arguments += ["--out", str(tmp_path / "out.csv"), "--cache-dir", str(tmp_path / "cache")]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "pictures are lost, such as unreadable picture: " in said
    assert "or allow the loss with --max-lost-pictures 1" in said
    assert not (tmp_path / "out.csv").exists()
    assert main([*arguments, "--max-lost-pictures", "1"]) == 0
    assert len(read_csv(tmp_path / "out.csv")) == 32


def test_a_catalog_without_an_answer_is_an_error_with_the_reason(predictor: Predictor, tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "shop.csv", [{"product_id": str(i), "product_name": "---"} for i in range(3)])
    out = tmp_path / "out.csv"
    out.write_text("answers of yesterday")
    source = CatalogSource(catalog, ReadOptions(), tmp_path / "cache")
    with pytest.raises(CatalogError, match=r"shop\.csv: no row can be answered: nothing to answer: expected a name"):
        predict(predictor, source, out, tmp_path / "rejects.csv")
    assert out.read_text() == "answers of yesterday"
    write_catalog(catalog, [{"product_id": "1", "product_name": "---"}, {"product_id": "", "product_name": "shirt"}])
    with pytest.raises(CatalogError, match=r"no row can be answered: 2 rows left out: 1 no product_id, 1 n"):
        predict(predictor, source, out, tmp_path / "rejects.csv")


def test_two_predictions_do_not_write_one_file(predictor: Predictor, catalog: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "out.csv", CatalogSource(catalog, ReadOptions(), tmp_path / "cache")
    (tmp_path / ".out.csv.partial").write_text("left by a process that was killed")
    with exclusive_or_holder(tmp_path / ".out.csv.lock"):
        expected = rf"process {os.getpid()} is writing .*out\.csv; wait for it, or give another --out"
        with pytest.raises(CatalogError, match=expected):
            predict(predictor, source, out, tmp_path / "rejects.csv")
    predict(predictor, source, out, tmp_path / "rejects.csv")
    assert len(read_csv(out)) == 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "rejects.csv"]


@dataclass
class Interruption:
    """Ends a prediction after so many chunks, and counts the rows that are answered."""

    after: int
    num_rows: int = 0

    def __call__(self, predictor: Predictor, chunk: AnsweredChunk) -> list[dict[str, Any]]:
        if not self.after:
            raise KeyboardInterrupt
        self.after -= 1
        self.num_rows += len(chunk.rows)
        return answer_rows(predictor, chunk)


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> Interruption:
    interruption = Interruption(after)
    monkeypatch.setattr("training.predict.predict.answer_rows", interruption)
    return interruption


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_an_interrupted_prediction_goes_on_to_the_same_answers(
    predictor: Predictor, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Twice, after 8 and after 22 answers; the second run is torn in the middle of what it writes."""
    monkeypatch.setattr("training.encoding.text_encoding.usable_cores", lambda: 1)  # without worker processes
    source = CatalogSource(catalog, ReadOptions(), tmp_path / "cache", chunk_rows=8, batch_rows=5, image_batch_rows=3)
    whole = predict(predictor, source, tmp_path / f"whole-{name}", tmp_path / "whole.csv")
    out, rejects = tmp_path / name, tmp_path / "rejects.csv"
    for after in (1, 2):
        interrupt(monkeypatch, after)
        with pytest.raises(KeyboardInterrupt):
            predict(predictor, source, out, rejects, resume=after == 2)
        assert not out.exists()
    for torn in (tmp_path / f".{name}.partial", rejects):
        with torn.open("ab") as file:
            file.write(b"half a r")
    last = interrupt(monkeypatch, 9)
    assert predict(predictor, source, out, rejects, resume=True) == whole == (32, 3)
    assert last.num_rows == 10
    if name == "out.csv":
        assert out.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    else:
        read = pyarrow.parquet.read_table
        assert read(out).equals(read(tmp_path / f"whole-{name}"))
    assert rejects.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_only_the_same_prediction_goes_on(
    predictor: Predictor, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = CatalogSource(catalog, ReadOptions(), tmp_path / "cache", chunk_rows=8)
    out, rejects = tmp_path / "out.csv", tmp_path / "rejects.csv"
    monkeypatch.setattr("training.encoding.text_encoding.usable_cores", lambda: 1)
    interrupt(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        predict(predictor, source, out, rejects)
    monkeypatch.undo()
    changed = write_catalog(tmp_path / "other.csv", [{"product_id": "1", "product_name": "LG gram"}])
    expected = r"\.out\.csv\.partial is of a run that differs in --catalog, --mask-parent; give the same to go on, or"
    sub_tree = find_sub_tree(predictor.bundle.taxonomy, "의류")
    with pytest.raises(CatalogError, match=expected):
        predict(predictor, replace(source, path=changed), out, rejects, sub_tree, resume=True)
    partial = tmp_path / ".out.csv.partial"
    partial.write_bytes(partial.read_bytes()[:-1])
    with pytest.raises(CatalogError, match=r"is shorter than its run left it; leave out --resume"):
        predict(predictor, source, out, rejects, resume=True)
    predict(predictor, source, out, rejects)
    assert len(read_csv(out)) == 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.csv", "out.csv", "rejects.csv"]


def test_answers_are_those_of_the_predictor(
    answered: Path, predictor: Predictor, rows: tuple[Path, list[dict[str, str]]]
) -> None:
    by_id = {row["product_id"]: row for row in reversed(rows[1])}
    found = read_csv(answered / "out.csv")
    products = []
    for row in (by_id[answer["product_id"]] for answer in found):
        is_dead = row["product_id"] in ("broken", "lost")
        image = (rows[0] / row["image"]).read_bytes() if row.get("image") and not is_dead else None
        texts = {name: row.get(name, "") for name in ("product_name", "mall_category", "brand", "maker")}
        products.append(replace(Product(row["product_id"], image=image), **texts))  # type: ignore[arg-type]
    for answer, expected in zip(found, predictor.predict(products), strict=True):
        assert not isinstance(expected, Exception)
        assert answer["product_id"] == expected.product_id
        assert answer["category"] == expected.categories[0].category
        for rank, scored in enumerate(expected.categories, start=1):
            assert float(answer[f"probability_{rank}"]) == pytest.approx(scored.probability, abs=1e-3)
        assert float(answer["probability"]) == float(answer["probability_1"])
        assert answer["accepted"] == ""
        assert answer["needs_review"] == "true"


def test_csv_and_parquet_agree(answered: Path, predictor: Predictor, catalog: Path) -> None:
    out = answered / "new folder" / "out.parquet"
    predict(predictor, CatalogSource(catalog, ReadOptions(), answered / "cache"), out, answered / "rejects-2.csv")
    table = pyarrow.parquet.read_table(out)
    top = [f"{kind}_{rank}" for rank in range(1, 6) for kind in ("category", "probability")]
    assert table.column_names == [*COLUMNS, *top]
    assert str(table.schema.field("needs_review").type) == "bool"
    assert str(table.schema.field("probability_5").type) == "double"

    def as_text(value: Any) -> str:
        return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)

    found = read_csv(answered / "out.csv")
    for expected, answer in zip(table.to_pylist(), found, strict=True):
        for name, text in answer.items():
            if name.startswith("probability") and text:
                assert float(text) == pytest.approx(expected[name], abs=1e-5)
            else:
                assert text == as_text(expected[name])
    assert all(row["category_4"] == row["probability_4"] == "" for row in found)  # the tree has 3 leaves


def test_headings_are_mapped(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("sku,title\n7,LG gram 노트북\n", encoding="utf-8")
    options = ReadOptions("product_id=sku,product_name=title")
    out = tmp_path / "out.csv"
    assert predict(
        predictor, CatalogSource(tmp_path / "shop.csv", options, tmp_path), out, tmp_path / "rejects.csv"
    ) == (1, 0)
    assert read_csv(out)[0]["product_id"] == "7"
    assert not (tmp_path / "rejects.csv").exists()


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.CSV.gz"])
def test_an_unknown_ending_is_an_error(predictor: Predictor, catalog: Path, tmp_path: Path, name: str) -> None:
    expected = f"expected --out to end with .csv or .parquet, found {name}"
    with pytest.raises(CatalogError, match=expected):
        predict(predictor, CatalogSource(catalog, ReadOptions(), tmp_path), tmp_path / name, tmp_path / "rejects.csv")
    assert not list(tmp_path.iterdir())


def test_the_catalog_itself_is_never_overwritten(predictor: Predictor, catalog: Path, tmp_path: Path) -> None:
    before = catalog.read_bytes()
    out = catalog.parent / ".." / catalog.parent.name / catalog.name
    with pytest.raises(CatalogError, match=r"--out and --catalog name the same file, .*; give two"):
        predict(predictor, CatalogSource(catalog, ReadOptions(), tmp_path), out, tmp_path / "rejects.csv")
    assert catalog.read_bytes() == before


def test_a_folder_at_the_path_of_out_is_reported_before_predicting(
    predictor: Predictor, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.csv").mkdir()
    monkeypatch.setattr(Predictor, "classify", None)
    with pytest.raises(CatalogError, match=r"out\.csv cannot be written: it is a folder; choose another path"):
        predict(
            predictor, CatalogSource(catalog, ReadOptions(), tmp_path), tmp_path / "out.csv", tmp_path / "rejects.csv"
        )


def test_a_malformed_catalog_keeps_the_existing_answers(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("older", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read"):
        predict(
            predictor,
            CatalogSource(tmp_path / "none.csv", ReadOptions(), tmp_path),
            tmp_path / "out.csv",
            tmp_path / "rejects.csv",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "older"


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_full_disk_is_reported(predictor: Predictor, tmp_path: Path, name: str) -> None:
    """Simulates a full disk by a limit on the size of files."""
    catalog = write_catalog(tmp_path / "shop.csv", [{"product_id": "1", "product_name": "LG gram 노트북"}])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CatalogError, match=rf"{name} cannot be written: .*File too large.*; choose another path"):
            predict(
                predictor,
                CatalogSource(catalog, ReadOptions(), tmp_path / "cache"),
                tmp_path / name,
                tmp_path / "rejects.csv",
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.csv"]


def test_answers_stay_in_the_masked_sub_tree(predictor: Predictor, catalog: Path, tmp_path: Path) -> None:
    sub_tree = find_sub_tree(predictor.bundle.taxonomy, "의류")
    predict(
        predictor,
        CatalogSource(catalog, ReadOptions(), tmp_path / "cache"),
        tmp_path / "out.csv",
        tmp_path / "rejects.csv",
        sub_tree,
    )
    rows = read_csv(tmp_path / "out.csv")
    assert len(rows) == 32
    for row in rows:
        assert {row["category_1"], row["category_2"]} == {"의류>상의>티셔츠", "의류>하의>청바지"}
        assert float(row["probability_1"]) + float(row["probability_2"]) == pytest.approx(1, abs=1e-5)
        assert (row["category_3"], row["probability_3"]) == ("", "")
        assert row["accepted"] == "" or row["accepted"].startswith("의류")


def test_an_unknown_mask_names_the_flag(
    toy_bundle: Path, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "--bundle", str(toy_bundle), "--catalog", str(catalog), "--out", str(tmp_path / "out.csv")]
    assert main([*arguments, "--mask-parent", "상의"]) == 1
    text = "error: --mask-parent: expected a category of this model, found '상의'; did you mean '의류>상의'"
    assert text in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
