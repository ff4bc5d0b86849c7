"""labeling apply: decisions into a new catalog, and those that are refused."""

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from labeling.commands.apply_command import ApplyCommand, run_apply
from labeling.commands.issues_command import IssuesCommand, run_issues
from model.errors import LabelingError
from tests.labeling.conftest import Found
from tests.labeling.support import planted_rows, read_rows, write_rows


def decide(found: Found, path: Path, decisions: dict[str, str], **changes: str) -> Path:
    rows = [row for row in read_rows(found.out / "issues.csv") if row["product_id"] in decisions]
    decided = [{**row, "decision": decisions[row["product_id"]], **changes} for row in rows]
    return write_rows(path, decided)


def test_labels_are_changed_and_nothing_else(found: Found, toy_cache: Path, tmp_path: Path) -> None:
    wrong = [row["product_id"] for row in read_rows(found.out / "issues.csv")[:3]]
    decisions = dict(zip(wrong, ("suggested", "keep", " home > Garden > Hoses "), strict=True))
    decisions[wrong[2]] = " Home > Garden > Hoses "
    file = decide(found, tmp_path / "decided.csv", decisions)
    said = run_apply(ApplyCommand(found.catalog, file, tmp_path / "new.csv", "kim", cache_dir=toy_cache))
    assert said.startswith("2 labels changed, 1 decided otherwise; ")
    old, new = (read_rows(path) for path in (found.catalog, tmp_path / "new.csv"))
    changed = {row["product_id"]: row["category"] for row, before in zip(new, old, strict=True) if row != before}
    assert changed.keys() == {wrong[0], wrong[2]}
    assert changed[wrong[2]] == "Home>Garden>Hoses"
    log = {row["product_id"]: row for row in read_rows(tmp_path / "new.csv.changes.csv")}
    assert log[wrong[0]]["changed_by"] == "kim"
    assert log[wrong[0]]["after"] == changed[wrong[0]]
    assert log[wrong[0]]["before"] == next(row["category"] for row in old if row["product_id"] == wrong[0])
    assert log[wrong[0]]["changed_at"][:2] == "20"


def test_decisions_that_do_not_fit_are_refused_and_cost_no_other(found: Found, toy_cache: Path, tmp_path: Path) -> None:
    rows = read_rows(found.out / "issues.csv")[:5]
    changed = read_rows(found.catalog)
    next(row for row in changed if row["product_id"] == rows[0]["product_id"])["product_name"] = "another name"
    catalog = write_rows(tmp_path / "shop.csv", changed)
    decided = [{**row, "decision": "suggested", "decided_by": "lee"} for row in rows]
    decided[1]["decision"] = "Home>Nowhere"
    decided[2]["product_id"] = "unknown"
    decided[3]["row_checksum"] = ""
    decided += [{**rows[4], "decision": "keep", "decided_by": "lee"}]
    decided += [{**read_rows(found.out / "issues.csv")[5], "decision": "suggested", "decided_by": "lee"}]
    file = write_rows(tmp_path / "decided.csv", decided)
    said = run_apply(ApplyCommand(catalog, file, tmp_path / "new.csv", cache_dir=toy_cache))
    assert said.startswith("1 labels changed")
    reasons = [row["reason"] for row in read_rows(tmp_path / "new.csv.rejects.csv")]
    assert len(reasons) == 6
    for expected in (
        "changed row: expected the row with checksum",
        "unknown category: 'Home>Nowhere' is no leaf of",
        "unknown product: no row of the catalog has this product_id; correct it",
        "no checksum: expected `row_checksum` as in issues.csv, found none",
        "contradiction: two rows decide the same product otherwise; keep the right one",
    ):
        assert any(reason.startswith(expected) for reason in reasons), (expected, reasons)
    file = write_rows(tmp_path / "new.decided.csv", [decided[1]])
    run_apply(ApplyCommand(catalog, file, tmp_path / "new.csv", new_categories=True, cache_dir=toy_cache))
    assert any(row["category"] == "Home>Nowhere" for row in read_rows(tmp_path / "new.csv"))


@pytest.mark.parametrize("ending", [".tsv", ".jsonl", ".csv.gz", ".parquet"])
def test_every_format_is_written_as_it_was_read(ending: str, toy_cache: Path, tmp_path: Path) -> None:
    rows, truth = planted_rows(80, 0.05, seed=9)
    catalog = tmp_path / f"shop{ending}"
    if ending == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), catalog)
    elif ending == ".jsonl":
        catalog.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        separator = "\t" if ending == ".tsv" else ","
        text = "\n".join(separator.join(values) for values in [list(rows[0]), *(row.values() for row in rows)]) + "\n"
        catalog.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    run_issues(IssuesCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    product_id = next(iter(truth))
    row = next(row for row in read_rows(tmp_path / "out/issues.csv") if row["product_id"] == product_id)
    file = write_rows(tmp_path / "decided.csv", [{**row, "decision": truth[product_id]}])
    new = tmp_path / f"new{ending}"
    run_apply(ApplyCommand(catalog, file, new, "kim", cache_dir=toy_cache))
    expected = [{**one, "category": truth[product_id]} if one["product_id"] == product_id else one for one in rows]
    if ending == ".parquet":
        assert pyarrow.parquet.read_table(new).to_pylist() == expected
    elif ending == ".jsonl":
        assert [json.loads(line) for line in new.read_text().splitlines()] == expected
    else:
        data = gzip.decompress(new.read_bytes()) if ending.endswith(".gz") else new.read_bytes()
        separator = "\t" if ending == ".tsv" else ","
        assert [line.split(separator) for line in data.decode().splitlines()][1:] == [
            [*one.values()] for one in expected
        ]


def test_wrong_files_are_named(found: Found, toy_cache: Path, tmp_path: Path) -> None:
    file = decide(found, tmp_path / "decided.csv", {"p1": "keep"})
    with pytest.raises(LabelingError, match=r"decided\.csv, line 2: expected who decided, found nobody"):
        run_apply(ApplyCommand(found.catalog, file, tmp_path / "new.csv", cache_dir=toy_cache))
    with pytest.raises(
        LabelingError, match=r"--out: expected a file that ends in \.csv as the catalog, found new\.tsv"
    ):
        run_apply(ApplyCommand(found.catalog, file, tmp_path / "new.tsv", "kim", cache_dir=toy_cache))
    with pytest.raises(LabelingError, match="--out: expected another file than the catalog"):
        run_apply(ApplyCommand(found.catalog, file, found.catalog, "kim", cache_dir=toy_cache))
    with pytest.raises(LabelingError, match=r"expected the columns product_id, decision, row_checksum, found"):
        run_apply(
            ApplyCommand(found.catalog, found.out / "issues.csv", tmp_path / "new.csv", "kim", cache_dir=toy_cache)
        )
