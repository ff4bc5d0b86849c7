"""A bundle on disk: whole or refused. Programs are a few bytes here; test_export.py writes real ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.bundle.bundle import bundle_identity, load_bundle
from model.bundle.manifest import FORMAT_VERSION, verify_bundle
from model.bundle.writing import BundleContents, check_bundle_target, write_bundle
from model.bundle_files import FILES
from model.errors import BundleError
from model.prediction.calibration import Calibration
from model.prediction.formula import JointFormula, LinearPenalty
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SETTINGS
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer

TOKENIZER = Tokenizer(
    TokenizerSettings(analyzer="script", vector_size=4, hash_buckets=16),
    [TextField("name", 0, 5, 7)],
    ["red", "모자"],
    np.ones((4, 4), np.float32),
    np.ones(16, np.int64),
    {"name": 3},
)
FORMULA = JointFormula(LinearPenalty(5.0, 1.0, 0.2), 0.25, 1.25, {"image": 1.5})
CONTENTS = BundleContents(
    TOY_SETTINGS,
    Taxonomy(("의류>상의", "의류>하의"), {"의류": "7"}),
    Calibration(FORMULA, {"name": 0.75}, 0.98, 0.95, (0.5, 2.0), (0.875, 0.0), {"image": (0.75, 2.0)}),
    ("name", "image"),
    ("name", "image", "joint"),
    6,
    {"joint": {"accuracy": 0.5}},
    [{"epoch": 1.0}],
    "# A card\n",
)


def write_programs(folder: Path) -> None:
    (folder / "keras").mkdir()
    (folder / FILES.classifier).write_bytes(b"weights")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "toy" / "3"
    write_bundle(path, CONTENTS, TOKENIZER, write_programs)
    return path


def files_of(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_load_undoes_write(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    for name in ("settings", "calibration", "fields", "heads", "image_feature_dim", "metrics", "history"):
        assert getattr(loaded, name) == getattr(CONTENTS, name), name
    assert (loaded.name, loaded.version) == ("toy", "3")
    assert loaded.taxonomy.to_dict() == CONTENTS.taxonomy.to_dict()
    assert loaded.tokenizer.digest == TOKENIZER.digest
    assert loaded.preprocessor.text_fields == ("name",)
    assert (bundle / FILES.model_card).read_text(encoding="utf-8") == "# A card\n"


def test_nothing_but_the_bundle_is_left(bundle: Path) -> None:
    assert [path.name for path in bundle.parent.iterdir()] == ["3"]
    manifest = json.loads((bundle / FILES.manifest).read_text(encoding="utf-8"))
    assert sorted([*manifest["files"], FILES.manifest]) == files_of(bundle)
    assert all(len(digest) == 64 for digest in manifest["files"].values())


def test_no_file_is_a_pickle(bundle: Path) -> None:
    assert {Path(name).suffix for name in files_of(bundle)} == {".json", ".npy", ".md", ".keras"}


def test_any_changed_byte_is_found_and_named(bundle: Path) -> None:
    for name in files_of(bundle):
        if name == FILES.manifest:
            continue
        content = (bundle / name).read_bytes()
        middle = len(content) // 2
        (bundle / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(
            BundleError, match=r"is damaged: .* has SHA-256 .* the manifest says .*; copy or write"
        ) as raised:
            load_bundle(bundle)
        assert f"{name} has SHA-256" in str(raised.value)
        (bundle / name).write_bytes(content)
    load_bundle(bundle)


def test_any_missing_file_is_named(bundle: Path) -> None:
    for name in files_of(bundle):
        if name == FILES.manifest:
            continue
        content = (bundle / name).read_bytes()
        (bundle / name).unlink()
        with pytest.raises(BundleError) as raised:
            load_bundle(bundle)
        assert str(raised.value) == f"bundle {bundle} is incomplete: {name} is missing; copy or write the bundle again"
        (bundle / name).write_bytes(content)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError) as raised:
            load_bundle(path)
        assert str(raised.value) == (
            f"{path} is no bundle: manifest.json is missing; give the folder that --bundle wrote"
        )


@pytest.mark.parametrize(
    ("change", "remedy"), [(1, "upgrade Aisle"), (-1, "train the bundle again with this version of Aisle")]
)
def test_another_format_is_refused(bundle: Path, change: int, remedy: str) -> None:
    manifest, version = json.loads((bundle / FILES.manifest).read_text(encoding="utf-8")), FORMAT_VERSION + change
    (bundle / FILES.manifest).write_text(json.dumps({**manifest, "format_version": version}), encoding="utf-8")
    with pytest.raises(BundleError) as raised:
        load_bundle(bundle)
    expected = f"has format {version}, this program reads format {FORMAT_VERSION}; {remedy}"
    assert str(raised.value) == f"{bundle / FILES.manifest} {expected}"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_manifest_is_refused(bundle: Path, share: float) -> None:
    content = (bundle / FILES.manifest).read_bytes()
    (bundle / FILES.manifest).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BundleError, match=r"manifest.json is damaged: .*; copy or write the bundle again"):
        load_bundle(bundle)


@pytest.mark.parametrize("content", ["[]", "3", "{}", '{"format_version": 1}', '{"format_version": "1", "files": {}}'])
def test_a_manifest_of_another_make_is_refused(bundle: Path, content: str) -> None:
    (bundle / FILES.manifest).write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match=r"manifest.json is damaged: format_version or files is missing"):
        load_bundle(bundle)


def test_a_foreign_folder_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    check_bundle_target(folder)  # an empty folder will do
    check_bundle_target(tmp_path / "nowhere")
    (folder / "holiday.jpg").write_bytes(b"dear")
    for path in (folder, folder / "holiday.jpg"):
        with pytest.raises(BundleError) as raised:
            write_bundle(path, CONTENTS, TOKENIZER, write_programs)
        assert str(raised.value) == f"{path} exists and is no bundle; choose another folder or remove it"
    assert (folder / "holiday.jpg").read_bytes() == b"dear"
    assert files_of(tmp_path) == ["photos/holiday.jpg"]


def test_an_empty_folder_becomes_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    write_bundle(tmp_path / "new", CONTENTS, TOKENIZER, write_programs)
    assert load_bundle(tmp_path / "new").name == "new"


def test_an_older_bundle_is_replaced_as_a_whole(bundle: Path) -> None:
    def write_others(folder: Path) -> None:
        (folder / "keras").mkdir()
        (folder / FILES.image_encoder).write_bytes(b"others")

    write_bundle(bundle, CONTENTS, TOKENIZER, write_others)
    verify_bundle(bundle)
    assert (bundle / FILES.image_encoder).exists()
    assert not (bundle / FILES.classifier).exists()
    assert [path.name for path in bundle.parent.iterdir()] == ["3"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("export failed")])
def test_a_failed_write_leaves_the_older_bundle(bundle: Path, error: Exception) -> None:
    def fail(_: Path) -> None:
        raise error

    expected = BundleError if isinstance(error, OSError) else RuntimeError
    with pytest.raises(expected) as raised:
        write_bundle(bundle, CONTENTS, TOKENIZER, fail)
    if expected is BundleError:
        assert "could not be written: [Errno 28] No space left on device; free space or choose" in str(raised.value)
    verify_bundle(bundle)
    assert [path.name for path in bundle.parent.iterdir()] == ["3"]


def test_a_bundle_may_be_moved(bundle: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(bundle, tmp_path / "elsewhere")
    assert (load_bundle(moved).name, load_bundle(moved).version) == ("elsewhere", "1")


def test_name_and_version_by_folder(tmp_path: Path) -> None:
    assert bundle_identity(tmp_path / "shop" / "12") == ("shop", "12")
    assert bundle_identity(tmp_path / "shop" / "latest") == ("latest", "1")
