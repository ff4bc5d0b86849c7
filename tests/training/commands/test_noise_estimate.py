"""Training through wrong labels asks for their share."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import SettingsError
from model.settings import NoiseSettings, Settings, settings_from_dict
from training.commands.command_line import main
from training.commands.noise_estimate import with_noise_of
from training.network.noise.requirements import refuse_row_methods, require_noise_rate

SELFIE = replace(Settings(), noise=NoiseSettings(noise="selfie"))


def summary(folder: Path, text: str) -> Path:
    (folder / "summary.json").write_text(text, encoding="utf-8")
    return folder


def test_the_share_of_the_label_issues_is_the_noise_rate(tmp_path: Path) -> None:
    folder = summary(tmp_path, json.dumps({"num_rows": 200, "num_estimated": 25.0, "estimated_share": 0.125}))
    assert with_noise_of(SELFIE, folder) == replace(SELFIE, noise=NoiseSettings(noise="selfie", noise_rate=0.125))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", r"summary.json is not JSON: .*; give the folder that python -m labeling issues wrote, or --noise-rate"),
        ("[]", "expected 'estimated_share' of 0 to below 1, found None"),
        ('{"estimated_share": "x"}', "expected 'estimated_share' of 0 to below 1, found 'x'"),
        ('{"estimated_share": 1.5}', r"expected 'estimated_share' of 0 to below 1, found 1\.5"),
        ('{"estimated_share": 0}', "no wrong labels were found, so train without --noise selfie"),
    ],
)
def test_a_summary_that_says_no_share_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        with_noise_of(SELFIE, summary(tmp_path, text))


def test_a_folder_without_a_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"summary\.json cannot be read: No such file or directory; give the fold"):
        with_noise_of(SELFIE, tmp_path)


def test_a_folder_that_would_do_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected --noise selfie or coteaching beside it, found none"):
        with_noise_of(Settings(), tmp_path)
    given = replace(SELFIE, noise=NoiseSettings(noise="selfie", noise_rate=0.2))
    with pytest.raises(SettingsError, match=r"expected no --noise-rate beside it, found 0\.2"):
        with_noise_of(given, tmp_path)


@pytest.mark.parametrize("method", ["selfie", "coteaching"])
def test_without_a_rate_training_ends_before_any_work(
    tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["train", "--catalog", str(tmp_path / "none.csv"), "--bundle", str(tmp_path / "b"), "--noise", method]
    assert main(call) == 1
    assert (
        f"error: --noise {method} has to know the share of wrong labels, and it is not known: give --noise-rate,"
        " or the folder that python -m labeling issues wrote with --noise-from"
    ) in capsys.readouterr().err


@pytest.mark.parametrize("method", ["none", "smoothing", "elr"])
def test_other_methods_need_no_rate(method: str) -> None:
    require_noise_rate(settings_from_dict({"noise": {"noise": method}}, "test").noise)


def test_a_search_has_no_method_that_keeps_something_for_each_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_row_methods(NoiseSettings(noise="smoothing"))
    call = ["tune", "--train", "t.csv", "--val", "v.csv", "--search", str(tmp_path), "--noise", "elr"]
    assert main(call) == 1
    assert "error: --noise elr is not searched over: expected none or smoothing; train the best" in (
        capsys.readouterr().err
    )
