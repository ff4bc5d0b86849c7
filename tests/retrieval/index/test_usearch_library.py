"""usearch and ONNX Runtime live in one process, whichever of our modules comes first."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("modules", ["retrieval.index.local.local_engine, onnxruntime", "onnxruntime, usearch.index"])
def test_both_are_loaded(modules: str) -> None:
    loaded = subprocess.run([sys.executable, "-c", f"import {modules}"], capture_output=True, cwd=ROOT, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_one_file_imports_usearch() -> None:
    files = [path for folder in ("retrieval", "server") for path in (ROOT / folder).rglob("*.py")]
    importing = [path.name for path in files if re.search(r"^\s*(from|import) usearch", path.read_text(), re.MULTILINE)]
    assert importing == ["usearch_library.py"]
