"""Files on a disk that is full."""

from pathlib import Path

import numpy as np
import pytest

from model.machine.whole_file import named_errors, whole_file

FULL = Path("/dev/full")


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with whole_file(path) as aside:
        assert (aside.parent, aside.suffix) == (tmp_path, ".html")
        aside.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_full_disk_leaves_the_older_file_and_the_error_names_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match=r"No space left on device: '.*report\.html'"), whole_file(path) as aside:  # noqa: PT012
        aside.write_text("ne", encoding="utf-8")
        FULL.write_text("w", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_errors_that_name_their_file_stay_and_those_without_a_number_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*missing'"), named_errors(tmp_path):
        (tmp_path / "missing").read_bytes()
    with (
        pytest.raises(OSError, match=r"requested and \d+ written: '/cache/words'"),
        named_errors(Path("/cache/words")),
        FULL.open("wb") as file,
    ):
        np.ones(100_000).tofile(file)
