"""Files that commands write: whole or not there, whatever stops the command."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.errors import LabelingError
from model.machine.whole_file import whole_file


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file beside `path`, with the same ending, that takes its name when the block is through.

    Raises:
        LabelingError: the disk refuses; what was there stays.
    """
    try:
        with whole_file(path) as aside:
            yield aside
    except OSError as error:
        raise LabelingError(
            f"{path} cannot be written: {error.strerror}; free space or use another folder, then run the same command"
            " again"
        ) from error


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV.

    Raises:
        LabelingError: the disk refuses.
    """
    with output_file(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
