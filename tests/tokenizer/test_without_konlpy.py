"""A shop that cannot take the GPL: train, predict and serve where KoNLPy and JPype cannot be imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.settings import settings_to_toml
from tests.conftest import TOY_SETTINGS, toy_rows, write_catalog

pytestmark = pytest.mark.long(seconds=30)

ROOT = Path(__file__).parents[2]
#: Imported by every Python process that finds it, those that encode texts among them.
BLOCKED = """
import sys

class NoKonlpy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("konlpy", "jpype", "_jpype"):
            raise ModuleNotFoundError(f"{name} is blocked by this test")

sys.meta_path.insert(0, NoKonlpy())
"""
PROGRAM = """
import sys
from pathlib import Path

from aisle_client.client import AisleClient
from model.product import Product
from server.app import AisleServer
from server.settings import ServerSettings
from training.commands.command_line import main

folder = Path(sys.argv[1])
for analyzer in sys.argv[2:]:
    bundle = folder / analyzer / "bundle"
    catalogs = ["--train", str(folder / "train.csv"), "--val", str(folder / "val.csv")]
    config = ["--config", str(folder / "toy.toml"), "--cache-dir", str(folder / "cache")]
    code = main(["train", *catalogs, *config, "--bundle", str(bundle), "--analyzer", analyzer])
    if code:
        sys.exit(code)
    answers = ["--out", str(folder / analyzer / "answers.csv"), "--cache-dir", str(folder / "cache")]
    assert main(["predict", "--bundle", str(bundle), "--catalog", str(folder / "val.csv"), *answers]) == 0
    server = AisleServer(ServerSettings(bundle=bundle, host="127.0.0.1", port=0, engine_processes=1))
    server.start()
    with AisleClient(f"127.0.0.1:{server.port}") as client:
        (served,) = client.classify([Product("1", "스키니 데님 청바지 무료배송")])
    server.stop(grace_s=5)
    assert not {"konlpy", "jpype"}.intersection(sys.modules)
    print("served with", analyzer, served.categories[0].category)
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Train with each analyser, predict, and serve, in a process where KoNLPy cannot be imported."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/sitecustomize.py").write_text(BLOCKED)
    for name, count in (("train", 60), ("val", 30)):
        rows = [{**row, "image": ""} for row in toy_rows(tmp_path, name, count)]
        write_catalog(tmp_path / f"{name}.csv", rows)
    settings = replace(
        TOY_SETTINGS,
        model=replace(TOY_SETTINGS.model, fields=("name",)),
        training=replace(TOY_SETTINGS.training, epochs=4),
    )
    (tmp_path / "toy.toml").write_text(settings_to_toml(settings))

    def run_with(*analyzers: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), *analyzers],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "blocked")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run_with


def test_bundles_are_trained_and_served_without_konlpy(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    analyzers = ("script", "mecab-direct")
    done = run(*analyzers)
    assert done.returncode == 0, done.stderr
    for analyzer in analyzers:
        assert f"served with {analyzer} 의류>하의>청바지" in done.stdout
        answered = (tmp_path / analyzer / "answers.csv").read_text(encoding="utf-8").splitlines()
        assert len(answered) == 31


def test_the_analyzer_of_konlpy_says_what_to_use_instead(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run("mecab")
    assert done.returncode == 1
    assert "error: the analyzer mecab cannot start (konlpy is blocked by this test)" in done.stderr
    assert "'mecab-direct', which gives the same tokens without KoNLPy" in done.stderr
