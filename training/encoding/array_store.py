"""Arrays that grow row by row on disk and are read back as memory maps."""

import json
import os
import shutil
from pathlib import Path
from types import TracebackType

import numpy as np

from model.machine.whole_file import named_errors

_HEADER = "arrays.json"


class ArrayWriter:
    """Appends rows to named arrays in a folder that appears only when all is written.

    Use as a context manager; leaving it by an exception removes what was written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._arrays: dict[str, tuple[str, list[int]]] = {}
        self.num_rows = 0

    def append(self, rows: dict[str, np.ndarray]) -> None:
        """Add (n, ...) rows to every array; names, dtypes and row shapes stay as in the first call."""
        forms = {name: (values.dtype.str, list(values.shape[1:])) for name, values in rows.items()}
        self._arrays = self._arrays or forms
        if forms != self._arrays:
            raise ValueError(f"expected arrays {self._arrays}, found {forms}")
        for name, values in rows.items():
            path = self._temporary / f"{name}.bin"
            with named_errors(path), path.open("ab") as file:
                file.write(np.ascontiguousarray(values).data)
        self.num_rows += len(next(iter(rows.values())))

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            header = {"num_rows": self.num_rows, "arrays": self._arrays}
            with named_errors(self.folder):
                (self._temporary / _HEADER).write_text(json.dumps(header), encoding="utf-8")
                shutil.rmtree(self.folder, ignore_errors=True)
                self._temporary.rename(self.folder)
        else:
            shutil.rmtree(self._temporary, ignore_errors=True)


def has_arrays(folder: Path) -> bool:
    """True if a finished ArrayWriter left its arrays here."""
    return (folder / _HEADER).exists()


def open_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Read-only memory maps by name, all with the same number of rows."""
    header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
    num_rows = header["num_rows"]
    arrays: dict[str, np.ndarray] = {}
    for name, (dtype, shape) in header["arrays"].items():
        form = (num_rows, *shape)
        empty = not np.prod(form)  # a memory map of no bytes is an error
        arrays[name] = np.zeros(form, dtype) if empty else np.memmap(folder / f"{name}.bin", dtype, "r", shape=form)
    return arrays
