"""Fixtures: a shop with planted wrong labels, and what `labeling issues` says of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from labeling.commands.issues_command import IssuesCommand, run_issues
from tests.labeling.support import planted_rows, write_rows


@dataclass(frozen=True)
class Found:
    """A catalog, the right labels of what was planted, and the folder of the findings."""

    catalog: Path
    truth: dict[str, str]
    out: Path
    said: str


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory, toy_cache: Path) -> Found:
    folder = tmp_path_factory.mktemp("labels")
    rows, truth = planted_rows(600, 0.1, seed=1)
    twins = [{**rows[i], "product_id": f"twin{i}", "category": rows[i]["category"]} for i in (0, 1)]
    twins[1]["category"] = "Toys>Dolls"  # p1 is a pan
    catalog = write_rows(folder / "shop.csv", [*rows, *twins])
    said = run_issues(IssuesCommand(catalog, folder / "out", cache_dir=toy_cache))
    return Found(catalog, truth, folder / "out", said)
