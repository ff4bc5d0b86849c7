"""Programs under locales that lack most characters, as real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: What a container or a cron job may have, and Python's ways around it switched off.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PROGRAM = """
import subprocess, sys
from pathlib import Path
from model.machine.text_encoding import use_unicode
use_unicode()
path = Path(sys.argv[1])
print(path.read_text(), path.name.isidentifier())
subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1].isidentifier())", path.name], check=True)
"""


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, *arguments]
    return subprocess.run(program, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, check=False)


def test_an_ascii_locale_hinders_neither_paths_nor_texts_nor_children(tmp_path: Path) -> None:
    path = tmp_path / "상품"
    path.write_text("커피", encoding="utf-8")
    ended = run(["-c", PROGRAM, str(path)], ASCII)
    assert ended.stdout.decode() == "커피 True\nTrue\n", ended.stderr.decode()


def test_characters_that_the_output_lacks_are_spelled(tmp_path: Path) -> None:
    path = tmp_path / "상품"
    path.write_text("커피", encoding="utf-8")
    ended = run(["-c", PROGRAM, str(path)], {"PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"})
    assert ended.stdout.decode("ascii") == "\\ucee4\\ud53c True\nTrue\n", ended.stderr.decode()


def test_a_command_prints_a_korean_path(tmp_path: Path) -> None:
    missing = tmp_path / "없음.csv"
    flags = ["--catalog", str(missing), "--out", str(tmp_path / "답.csv"), "--target", "localhost:1"]
    ended = run(["-m", "client", "classify", *flags], ASCII)
    assert ended.stderr.decode().startswith(f"error: {missing} cannot be read")


@pytest.mark.parametrize("folder", ["client", "demo", "labeling", "retrieval", "server", "training"])
def test_every_program_begins_with_it(folder: str) -> None:
    lines = (ROOT / folder / "__main__.py").read_text(encoding="utf-8").splitlines()
    begun = lines[lines.index(next(line for line in lines if line.startswith("if __name__ =="))) :]
    assert "    use_unicode()" in begun
