from pathlib import Path

import pytest

from model.errors import BundleError
from server.models import newest_bundles, version_key


def add_bundle(models: Path, name: str) -> None:
    (models / name).mkdir(parents=True)
    (models / name / "manifest.json").write_text("{}")


def test_versions_are_ordered_by_the_numbers_in_them():
    versions = ["10", "9", "v1.10", "v1.9", "1", "2024-02-01", "2024-11-01", "beta"]
    expected = ["beta", "v1.9", "v1.10", "1", "9", "10", "2024-02-01", "2024-11-01"]
    assert sorted(versions, key=version_key) == expected


def test_the_newest_version_of_each_model_is_found(tmp_path: Path):
    for name in ("shop/9", "shop/10", "mall/1"):
        add_bundle(tmp_path, name)
    assert newest_bundles(tmp_path) == {"shop": tmp_path / "shop/10", "mall": tmp_path / "mall/1"}


def test_folders_without_a_manifest_and_temporary_ones_are_passed_over(tmp_path: Path):
    add_bundle(tmp_path, "shop/1")
    add_bundle(tmp_path, "shop/.2.123.tmp")
    (tmp_path / "shop/3").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert newest_bundles(tmp_path) == {"shop": tmp_path / "shop/1"}


def test_a_folder_without_models_is_refused(tmp_path: Path):
    with pytest.raises(BundleError, match=r"holds no model: expected .*/<name>/<version>/manifest.json; move a bundle"):
        newest_bundles(tmp_path)
