"""The flags of `python -m training tune`."""

from pathlib import Path

import pytest

from tests.conftest import write_catalog
from training.commands.command_line import main

FILES = ["--train", "t.csv", "--val", "v.csv", "--search", "s"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trials", "0"], "--trials: expected 1 or more, found 0"),
        (["--workers", "-1"], "--workers: expected 0 or more, found -1"),
        (["--max-failures", "0"], "--max-failures: expected 1 or more, found 0"),
        (["--budget-minutes", "0"], "--budget-minutes: expected more than 0, found 0.0"),
        (
            ["--study", "fields", "--space", "x.toml"],
            "--study brings a space of its own; leave out --space, or --study",
        ),
        (
            ["--backbones", "ResNet50"],
            "--backbones belongs to --study backbone; in a space file write [image] backbone",
        ),
        (["--seeds", "3"], "--seeds repeats the points of a grid; give --tuner grid or a --study"),
        (
            ["--half-life", "6"],
            "--half-life-months: trials learn all rows as they come; train the best settings with train --config"
            " best.toml and these flags",
        ),
        (["--config", "none.toml"], "config file none.toml cannot be read: No such file or directory"),
        ([], "t.csv is missing; check the path"),
    ],
)
def test_a_wrong_use_is_an_error(
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", *FILES, *flags]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    ("tuner", "text", "message"),
    [
        ("hyperband", "epochs = { choice = [1, 2] }", "hyperband sets the epochs itself; take epochs out of the space"),
    ],
)
def test_a_space_that_does_not_suit_the_tuner(
    toy_catalogs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tuner: str,
    text: str,
    message: str,
) -> None:
    space = tmp_path / "space.toml"
    space.write_text(f"[training]\n{text}\n", encoding="utf-8")
    files = ["--train", str(toy_catalogs[0]), "--val", str(toy_catalogs[1]), "--search", str(tmp_path / "s")]
    assert main(["tune", *files, "--space", str(space), "--tuner", tuner]) == 1
    assert capsys.readouterr().err == f"error: --tuner {message}\n"


def test_one_category_is_refused_before_the_first_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"product_id": str(i), "product_name": f"shirt {i}", "category": "shirts"} for i in range(9)]
    catalog = str(write_catalog(tmp_path / "shop.csv", rows))
    call = ["tune", "--train", catalog, "--val", catalog, "--search", str(tmp_path / "s")]
    assert main([*call, "--cache-dir", str(tmp_path / "cache")]) == 1
    assert "shop.csv: expected products of two categories or more, found 'shirts'" in capsys.readouterr().err
