"""Checks of a resilience test are printed and written."""

import json
from pathlib import Path

import pytest

from benchmarks.resilience.checks import Check, report_checks

PASSED = Check("no lost request", "0", True)
FAILED = Check("memory grows by less than 1 MiB/min", "3.0", False)


def test_a_failed_check_ends_with_a_sentence_once_all_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    with pytest.raises(SystemExit, match=r"^failed: memory grows by less than 1 MiB/min; found 3\.0$"):
        report_checks("soak", [PASSED, FAILED], {"rps": 5.5}, path)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert [check["is_passed"] for check in report["checks"]] == [True, False]
    assert report["rps"] == 5.5
    assert "FAILED" in capsys.readouterr().out


def test_checks_that_passed_end_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    report_checks("soak", [PASSED], {}, None)
    assert "FAILED" not in capsys.readouterr().out
