"""The commands as a user types them."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from catalog.cache_dir import default_cache_dir
from model.bundle.bundle import load_bundle
from model.settings import Settings
from tests.conftest import TOY_SETTINGS, write_catalog
from training.commands import command_line
from training.commands.command_line import main
from training.commands.export_onnx_command import ExportOnnxCommand
from training.commands.program import Commands, run_program
from training.commands.train_command import TrainCommand

pytestmark = pytest.mark.long(seconds=40)

TRAIN = ["train", "--train", "t.csv", "--val", "v.csv", "--bundle", "b"]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[TrainCommand]:
    """The train commands that would have been run."""
    commands: list[TrainCommand] = []
    monkeypatch.setattr(command_line, "run_train", commands.append)
    return commands


@pytest.mark.parametrize("arguments", [[], ["fly"], ["--train", "t.csv"]])
def test_an_unknown_command_lists_the_known_ones(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert (
        "usage: python -m training {inspect,train,predict,evaluate,quantize,add-category,export-onnx,tune,tune-worker}"
        in capsys.readouterr().err
    )


def test_help_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "usage: python -m training" in capsys.readouterr().err


def test_the_size_of_the_catalog_sets_the_defaults_and_flags_or_a_config_file_override_them(
    given: list[TrainCommand], tmp_path: Path
) -> None:
    catalog, config = tmp_path / "shop.csv", tmp_path / "shop.toml"
    catalog.write_text("product_id,product_name,category\n1,red shirt,Clothes\n", encoding="utf-8")
    config.write_text("[training]\nepochs = 3\n", encoding="utf-8")
    call = ["train", "--train", str(catalog), "--val", str(catalog), "--bundle", "b"]
    for more in ([], ["--batch-size=32"], ["--config", str(config)]):
        assert main([*call, *more]) == 0
    sizes = [(command.settings.training.batch_size, command.settings.training.epochs) for command in given]
    assert sizes == [(64, 60), (32, 60), (512, 3)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*TRAIN, "--epoch", "3"], "--epoch"),
        ([*TRAIN, "--epochs", "three"], "--epochs"),
        ([*TRAIN, "--optimizer", "Lion"], "--optimizer"),
        (TRAIN[:5], "--bundle"),
        (["predict", "--bundle", "b", "--catalog", "c.csv", "--out", "o.csv", "--top-k", "3"], "--top-k"),
        (["evaluate", "--bundle", "b", "--report", "r"], "--catalog"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], expected: str, given: list[TrainCommand], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert expected in output.out + output.err
    assert not given


def test_train_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    output = capsys.readouterr().out
    for group in dataclasses.fields(Settings):
        for setting in dataclasses.fields(group.default_factory):  # type: ignore[arg-type]
            assert re.search(f"--{setting.name.replace('_', '-')}[ ,]", output), setting.name


def test_flags_override_the_config_file_and_that_the_defaults(given: list[TrainCommand], tmp_path: Path) -> None:
    config = tmp_path / "shop.toml"
    config.write_text("[training]\nepochs = 7\nbatch_size = 64\n[tokenizer]\nmin_count = 5\n", encoding="utf-8")
    for flags in (["--config", str(config)], [f"--config={config}"]):
        assert main([*TRAIN, "--epochs", "3", *flags]) == 0
        settings = given[-1].settings
        assert (settings.training.epochs, settings.training.batch_size, settings.tokenizer.min_count) == (3, 64, 5)
        assert settings.model == Settings().model
        assert given[-1].config == config
    assert main(TRAIN) == 0
    assert given[-1].settings == Settings()


def test_settings_of_every_type_are_read(given: list[TrainCommand]) -> None:
    flags = ["--word-orders", "1", "2", "3", "--image-weights", "none", "--learning-rate", "1e-4", "--resume"]
    assert main([*TRAIN, *flags, "--finetune-layers", "-1", "--analyzer", "script"]) == 0
    command = given[0]
    assert command.resume
    assert command.settings.tokenizer.word_orders == (1, 2, 3)
    assert command.settings.tokenizer.analyzer == "script"
    assert command.settings.image.finetune_layers == -1
    assert command.settings.training.learning_rate == 1e-4


def test_the_precision_contract_has_short_flags(given: list[TrainCommand]) -> None:
    assert main([*TRAIN, "--precision", "0.97", "--confidence=0.9"]) == 0
    assert main([*TRAIN, "--precision-target", "0.97", "--precision-confidence", "0.9"]) == 0
    assert {(c.settings.training.precision_target, c.settings.training.precision_confidence) for c in given} == {
        (0.97, 0.9)
    }


def test_the_defaults_are_those_for_the_rows_of_the_window(given: list[TrainCommand], tmp_path: Path) -> None:
    """100 of 2,000 rows are of the last month."""
    catalog = tmp_path / "shop.csv"
    rows = [f"{i},red shirt {i},Clothes,2026-0{1 + (i % 20 == 0)}" for i in range(2_000)]
    catalog.write_text("\n".join(["product_id,product_name,category,month", *rows]), encoding="utf-8")
    call = ["train", "--catalog", str(catalog), "--bundle", "b", "--cache-dir", str(tmp_path / "cache")]
    for more in ([], ["--window", "1"], ["--window-months=2"]):
        assert main([*call, *more]) == 0
    assert [command.settings.training.epochs for command in given] == [20, 60, 20]


def test_windows_and_half_lives_have_short_flags(given: list[TrainCommand]) -> None:
    assert main([*TRAIN, "--window", "3", "--half-life=1.5"]) == 0
    assert main([*TRAIN, "--window-months", "3", "--half-life-months", "1.5"]) == 0
    assert {(c.settings.sampling.window_months, c.settings.sampling.half_life_months) for c in given} == {(3, 1.5)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[training]\nepoch = 3\n", "unknown setting 'epoch'; did you mean 'epochs'?"),
        ("[train]\nepochs = 3\n", "unknown table [train]"),
        ("[training]\nepochs = '3'\n", "[training] epochs: expected int, found '3'"),
        ("epochs == 3", "is not TOML"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_config_file_is_reported_in_a_sentence(
    text: str | None, expected: str, given: list[TrainCommand], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "shop.toml"
    if text is not None:
        config.write_text(text, encoding="utf-8")
    assert main([*TRAIN, "--config", str(config)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(config) in line
    assert expected in line
    assert not given


def test_the_demo_s_config_file_is_read(given: list[TrainCommand]) -> None:
    config = ROOT / "demo" / "demo.toml"
    assert main([*TRAIN, "--config", str(config)]) == 0
    values = tomllib.loads(config.read_text(encoding="utf-8"))
    found = dataclasses.asdict(given[0].settings)
    assert all(found[group][name] == value for group, entries in values.items() for name, value in entries.items())


@pytest.mark.parametrize(
    ("command", "flags", "expected"),
    [
        ("predict", ["--out", "o.csv"], "none is no bundle: manifest.json is missing"),
        ("evaluate", ["--report", "r"], "none is no bundle: manifest.json is missing"),
        ("predict", ["--out", "o.csv", "--rejects", "o.csv"], "--rejects and --out name the same file; give two"),
    ],
)
def test_missing_files_are_reported_in_a_sentence(
    command: str,
    flags: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--bundle", "none", "--catalog", "none.csv", *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert not list(tmp_path.iterdir())


def test_predict_and_evaluate_print_their_results(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--cache-dir", str(tmp_path / "cache")]
    out, report = tmp_path / "out.csv", tmp_path / "report"
    assert main(["predict", *shared, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == f"45 rows answered in {out}"
    lines = toy_catalogs[1].read_text(encoding="utf-8").splitlines(keepends=True)
    repeated = toy_catalogs[1].with_name("repeated.csv")
    repeated.write_text("".join([*lines, *lines[1:3]]), encoding="utf-8")
    flags = [str(repeated) if flag == str(toy_catalogs[1]) else flag for flag in shared]
    assert main(["predict", *flags, "--out", str(out)]) == 0
    repeated.unlink()
    expected = f"45 rows answered in {out}, 2 rejected, with reasons in {out}.rejects.csv"
    assert capsys.readouterr().out.strip() == expected
    assert main(["evaluate", *shared, "--report", str(report)]) == 0
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    first, second, group = capsys.readouterr().out.splitlines()
    assert first == f"accuracy {metrics['accuracy']:.4f} on 45 products; report in {report / 'report.html'}"
    assert second == "accepted 0 %, at a leaf 0 %; promised 98 %: nothing accepted"
    assert group.startswith("No group is surely worse than the whole; the lowest is ")


def test_errors_of_the_disk_are_reported_in_a_sentence(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report").write_text("a file", encoding="utf-8")
    flags = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--report", str(tmp_path / "report")]
    assert main(["evaluate", *flags, "--cache-dir", str(tmp_path / "cache")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(tmp_path / "report") in line
    assert line.endswith("; check the path, its permissions and the free space")


@pytest.mark.parametrize("said", ["done", None])
def test_a_full_disk_behind_standard_output_is_reported(
    said: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the command prints by itself or returns what to print."""

    def run(_: ExportOnnxCommand) -> str | None:
        sys.stdout.write("working\n")
        return said

    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 closing it would write again
    monkeypatch.setattr(sys, "stdout", full)
    commands: Commands = {"work": (ExportOnnxCommand, run)}
    assert run_program("python -m training", commands, ["work", "--bundle", "b", "--out", "o"]) == 1
    assert "error: [Errno 28] No space left on device: 'standard output'; check" in capsys.readouterr().err
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_the_cache_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("AISLE_CACHE", raising=False)
    assert default_cache_dir() == Path("/x/aisle")
    monkeypatch.setenv("AISLE_CACHE", "/cache")
    assert default_cache_dir() == Path("/cache")
    monkeypatch.delenv("AISLE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "aisle"


@pytest.fixture
def train_command(tmp_path: Path) -> list[str]:
    """A training of two names with many epochs, which takes some seconds."""
    rows = [{"product_id": str(i), "brand": f"brand{i % 2}", "category": f"c{i % 2}"} for i in range(40)]
    config = tmp_path / "shop.toml"
    lines = []
    for group, entries in dataclasses.asdict(TOY_SETTINGS).items():
        values = {**entries, **({"epochs": 40, "patience": 40} if group == "training" else {})}
        lines += [f"[{group}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    config.write_text("\n".join(lines), encoding="utf-8")
    return [
        *(sys.executable, "-m", "training", "train", "--config", str(config), "--cache-dir", str(tmp_path / "cache")),
        *("--train", str(write_catalog(tmp_path / "train.csv", rows))),
        *("--val", str(write_catalog(tmp_path / "val.csv", rows[:20]))),
        *("--bundle", str(tmp_path / "bundle")),
    ]


def test_ctrl_c_keeps_the_state_and_resume_finishes(train_command: list[str], tmp_path: Path) -> None:
    state = tmp_path / "bundle.train" / "state" / "state.npz"
    # A test runner in the background ignores Ctrl-C, and its children inherit that unless a handler is set.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        train_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        output = ""
        while not state.exists():
            line = process.stdout.readline()
            assert line, output
            output += line
        process.send_signal(signal.SIGINT)
        output += process.stdout.read()
    assert process.returncode == 130, output
    assert output.endswith("interrupted; finished work is kept, train --resume continues it\n")
    assert "Traceback" not in output
    assert not (tmp_path / "bundle").exists()
    done = subprocess.run([*train_command, "--resume"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "accuracy 1.0000 on 20 products that the model did not learn",
        "accepted 0 %, at a leaf 0 %; promised 98 %: nothing accepted",
        f"bundle in {tmp_path / 'bundle'}: 40 products of 2 categories learned",
    ]
    assert "Epoch 1/40" not in done.stderr
    assert [row["epoch"] for row in load_bundle(tmp_path / "bundle").history] == list(range(1, 41))


def test_a_missing_catalog_ends_the_process_with_1_and_a_sentence(train_command: list[str], tmp_path: Path) -> None:
    (tmp_path / "train.csv").unlink()
    done = subprocess.run(train_command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'train.csv'}")
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
