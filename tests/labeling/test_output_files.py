"""Files of the commands are whole or not there."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeling.output_files import write_table
from model.errors import LabelingError
from tests.labeling.support import read_rows


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ("id", "name"), [(1, "a,b"), (2, "c")])

    def interrupted() -> Iterator[tuple[int, str]]:
        yield 3, "half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(path, ("id", "name"), interrupted())
    assert read_rows(path) == [{"id": "1", "name": "a,b"}, {"id": "2", "name": "c"}]
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_disk_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabelingError, match=r"table\.csv cannot be written: No such file or directory; free space or"):
        write_table(tmp_path / "none" / "table.csv", ("id",), [])


def test_commands_and_fold_processes_start_without_keras() -> None:
    script = (
        "import sys, labeling.commands.command_line, labeling.answers.out_of_fold as _;"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
