"""The plan of the house: which folder may import which, no circles, heavy libraries in few files."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: A folder to those it may import; benchmarks, demo and tests may import anything.
PLAN: dict[str, set[str]] = {
    "aisle_client": set(),
    "contract": set(),
    "tokenizer": set(),
    "model": {"tokenizer"},
    "catalog": {"model", "tokenizer"},
    "training": {"catalog", "model", "tokenizer"},
    "retrieval": {"training", "catalog", "model", "tokenizer"},
    "labeling": {"training", "catalog", "model", "tokenizer"},
    "client": {"catalog", "model", "tokenizer", "aisle_client"},
    "server": {"retrieval", "training", "catalog", "model", "tokenizer", "aisle_client"},
}
#: Rooms of `training` and `model` in the order of their floors; a room may import those before it.
FLOORS = {
    "model": ("heif", "machine", "network", "engines", "prediction", "bundle"),
    "training": (
        "encoding", "sampling", "network", "metrics", "ensemble", "splitting", "report", "inspection", "predict",
        "evaluation", "new_category", "tune", "commands",
    ),
    "labeling": (
        "answers", "issues", "decisions", "confusions", "drift", "months", "overview", "distribution", "correlations",
        "commands",
    ),
    "retrieval": ("index", "embedding", "search", "learning", "benchmark", "pairs", "matching", "ladder", "commands"),
}  # fmt: skip
#: Libraries that a CPU server starts without, and the files that import them.
HEAVY = {
    "tensorflow": {"model/network/keras_backend.py"},
    "jax": {"model/engines/keras_program.py"},
    "openvino": {"model/engines/openvino_engine.py", "model/engines/openvino_quantization.py"},
    "torch": set(),
    "pickle": set(),
}


def python_files(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if not path.stem.endswith(("_pb2", "_pb2_grpc"))]


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, at any place in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows() -> dict[str, set[str]]:
    """File to the files of the house that it imports, as dotted modules."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for f in PLAN for path in python_files(f)}
    return {module: {name for name in imported_modules(path) if name in files} for module, path in files.items()}


ARROWS = arrows()


@pytest.mark.parametrize("folder", PLAN)
def test_a_folder_imports_only_what_the_plan_allows(folder: str) -> None:
    own = {module: found for module, found in ARROWS.items() if module.startswith(f"{folder}.")}
    assert own, f"no file in {folder}"
    forbidden = {
        (module, name)
        for module, found in own.items()
        for name in found
        if name.split(".")[0] not in PLAN[folder] | {folder}
    }
    assert not forbidden


def test_the_arrows_of_the_plan_are_seen_at_all() -> None:
    """A reader of imports that misses nested folders or lazy imports would pass everything."""
    assert "model.engines.openvino_engine" in ARROWS["model.engines.engine_choice"]  # inside a function
    assert "model.prediction.neighbors" in ARROWS["model.bundle.bundle"]
    assert "catalog.rows" in ARROWS["training.encoding.encoded_catalog"]
    assert sum(map(len, ARROWS.values())) > 500


@pytest.mark.parametrize("folder", FLOORS)
def test_rooms_import_one_way(folder: str) -> None:
    floors = FLOORS[folder]
    assert {path.name for path in (ROOT / folder).iterdir() if path.is_dir() and path.name != "__pycache__"} == set(
        floors
    )
    backwards = defaultdict(set)
    for module, found in ARROWS.items():
        room = module.split(".")[1] if module.startswith(f"{folder}.") else ""
        for name in found if room in floors else ():
            other = name.split(".")[1]
            if name.startswith(f"{folder}.") and other in floors and floors.index(other) > floors.index(room):
                backwards[module].add(name)
    assert not backwards


def test_no_file_imports_itself_round_a_corner() -> None:
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_in_few_files(library: str) -> None:
    importers = {
        str(path.relative_to(ROOT))
        for folder in PLAN
        for path in python_files(folder)
        if any(name.split(".")[0] == library for name in imported_modules(path))
    }
    assert importers == HEAVY[library]


def test_model_code_is_plain_keras() -> None:
    for path in python_files("model"):
        assert "tf." not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("folder", PLAN)
def test_a_folder_has_no_more_files_than_a_reader_sees_at_once(folder: str) -> None:
    """A folder with more than about a dozen files wants rooms."""
    counts: dict[Path, int] = defaultdict(int)
    for path in python_files(folder):
        counts[path.parent] += 1
    assert max(counts.values()) <= 16, {str(path): count for path, count in counts.items() if count > 16}
