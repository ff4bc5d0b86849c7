import itertools
from pathlib import Path

from server.models.folder import fingerprint, scan_models, version_key


def add_manifest(models: Path, name: str) -> Path:
    (models / name).mkdir(parents=True)
    (models / name / "manifest.json").write_text("{}")
    return models / name


def versions(models: Path) -> dict[str, list[str]]:
    return {name: [folder.version for folder in folders] for name, folders in scan_models(models).versions.items()}


def test_versions_are_ordered_by_the_numbers_in_them():
    versions = ["10", "9", "v1.10", "v1.9", "1", "2024-02-01", "2024-11-01", "beta"]
    expected = ["beta", "v1.9", "v1.10", "1", "9", "10", "2024-02-01", "2024-11-01"]
    assert sorted(versions, key=version_key) == expected


def test_the_versions_of_each_model_are_found_the_newest_first(tmp_path: Path):
    for name in ("shop/9", "shop/10", "mall/1"):
        add_manifest(tmp_path, name)
    assert versions(tmp_path) == {"shop": ["10", "9"], "mall": ["1"]}
    assert scan_models(tmp_path).versions["mall"][0].path == tmp_path / "mall/1"


def test_folders_without_a_manifest_and_hidden_ones_are_skipped(tmp_path: Path):
    for name in ("shop/1", "shop/.2.123.tmp", ".git/1"):
        add_manifest(tmp_path, name)
    (tmp_path / "shop/3").mkdir()
    (tmp_path / "shop/readme.txt").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    assert versions(tmp_path) == {"shop": ["1"]}


def test_an_unreadable_folder_is_reported_and_does_not_count_as_empty(tmp_path: Path):
    missing = tmp_path / "missing"
    assert scan_models(missing).unreadable == {missing: "No such file or directory"}
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/1").symlink_to("x" * 300)
    add_manifest(tmp_path, "mall/1")
    scan = scan_models(tmp_path)
    assert scan.unreadable == {tmp_path / "shop": "File name too long"}
    assert list(scan.versions) == ["mall"]


def test_a_link_that_leads_back_to_itself_hides_nothing_beside_it(tmp_path: Path):
    good = add_manifest(tmp_path, "shop/1")
    loops = [tmp_path / name for name in ("loop", "shop/2")]
    for loop in loops:
        loop.symlink_to(loop.name)
    (good / "loop.bin").symlink_to("loop.bin")
    (good / "up").symlink_to("..")
    scan = scan_models(tmp_path)
    assert versions(tmp_path) == {"shop": ["1"]}
    assert scan.unreadable == dict.fromkeys(loops, "Too many levels of symbolic links")
    assert len(scan.versions["shop"][0].fingerprint) == 2  # the manifest and loop.bin


def test_a_fingerprint_changes_only_with_the_files(tmp_path: Path):
    version = add_manifest(tmp_path, "shop/1")
    prints = [fingerprint(version)]
    assert fingerprint(version) == prints[0]
    (version / "weights").mkdir()
    (version / "weights/w.bin").write_bytes(b"12")
    prints.append(fingerprint(version))
    (version / "weights/w.bin").write_bytes(b"123")
    prints.append(fingerprint(version))
    (version / "weights/w.bin").chmod(0o400)
    prints.append(fingerprint(version))
    (version / "weights/w.bin").unlink()
    prints.append(fingerprint(version))
    (version / "weights/w.bin").symlink_to("gone")
    prints.append(fingerprint(version))
    assert all(before != after for before, after in itertools.pairwise(prints))
