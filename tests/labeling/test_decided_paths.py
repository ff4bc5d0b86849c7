"""Paths that people write into decisions and plans: every spelling of a category is that category."""

import json
import unicodedata
from pathlib import Path

import pytest

from catalog.rejects import Rejects
from labeling.confusions.plan import Plan
from labeling.decisions.decisions import read_decisions
from tests.labeling.support import write_rows

PATH = "의류>상의"
ODD = unicodedata.normalize("NFD", " 의류\u200b >\ufeff상의 ")


@pytest.mark.parametrize(
    ("decision", "category"),
    [(ODD, PATH), ("suggested\u200b", PATH), ("\ufeffKeep", ""), (" keep ", "")],
)
def test_invisible_characters_change_no_decision(decision: str, category: str, tmp_path: Path) -> None:
    row = {"product_id": "p1", "decision": decision, "suggested": ODD, "row_checksum": "c"}
    file = write_rows(tmp_path / "decided.csv", [row])
    assert read_decisions(file, Rejects(None))["p1"].category == category


@pytest.mark.parametrize("decision", ["", " ", "\u200b", ">"])
def test_what_names_nothing_decides_nothing(decision: str, tmp_path: Path) -> None:
    row = {"product_id": "p1", "decision": decision, "suggested": PATH, "row_checksum": "c"}
    assert not read_decisions(write_rows(tmp_path / "decided.csv", [row]), Rejects(None))


def test_paths_of_a_plan_are_normalized(tmp_path: Path) -> None:
    entry = {"kind": "merge", "categories": [ODD, "의류>하의"], "new_paths": [ODD], "toward": [], "evidence": {}}
    values = {"format": 1, "catalog": "shop.csv", "checksum": "c", "proposals": [{**entry, "accepted": True}]}
    (tmp_path / "plan.json").write_text(json.dumps(values), encoding="utf-8")
    (read,) = Plan.read(tmp_path / "plan.json").proposals
    assert (read.categories, read.new_paths) == ([PATH, "의류>하의"], [PATH])
