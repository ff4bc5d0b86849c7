"""The command `python -m training evaluate` as a user types it."""

from pathlib import Path

import pytest

from training.commands.command_line import main


def arguments(bundle: Path, catalog: Path, folder: Path) -> list[str]:
    names = {"--bundle": bundle, "--catalog": catalog, "--report": folder / "report", "--cache-dir": folder / "cache"}
    return ["evaluate", *(str(part) for pair in names.items() for part in pair)]


def test_comparisons_are_printed(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--baseline", str(toy_catalogs[0]), "--compare-to", str(toy_bundle)]
    assert main([*arguments(toy_bundle, toy_catalogs[1], tmp_path), *flags]) == 0
    output = capsys.readouterr().out
    assert output.startswith("accuracy ")
    assert f"on 45 products; report in {tmp_path}/report/report.html" in output
    assert "TF-IDF + linear SVM" in output
    assert "No group is surely worse than the whole; the lowest is " in output
    assert "Always answering the most frequent category would be right for 33.3 %." in output
    assert "toy version 1 and the other toy version 1 are equal" in output
    assert (tmp_path / "report" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--compare-to", "lost is no bundle: manifest.json is missing; give the folder that --bundle wrote"),
        ("--baseline", "lost: expected a file that ends in"),
    ],
)
def test_invalid_comparisons_end_with_a_sentence(
    flag: str,
    expected: str,
    toy_bundle: Path,
    toy_catalogs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments(toy_bundle, toy_catalogs[1], tmp_path), flag, str(tmp_path / "lost")]) == 1
    assert expected in capsys.readouterr().err
