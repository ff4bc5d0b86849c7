"""The format, encoding and delimiter of a catalog's file, as they are found."""

from dataclasses import dataclass
from pathlib import Path

from catalog.formats.delimited_rows import delimited_rows
from catalog.formats.delimiter import delimiter_of
from catalog.formats.json_rows import json_rows
from catalog.formats.row_readers import row_reader
from catalog.formats.text_lines import encoding_of
from catalog.read_options import ReadOptions
from model.errors import CatalogError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class FileFacts:
    """The form of a file.

    Args:
        num_bytes: on disk.
        encoding: of text; '' for a binary format.
        delimiter: of a table, in words; '' for others.
    """

    path: Path
    num_bytes: int
    encoding: str
    delimiter: str

    @classmethod
    def read(cls, path: Path, options: ReadOptions) -> "FileFacts":
        """Look at a file.

        Raises:
            CatalogError: it cannot be read, its ending is not that of a catalog, or its encoding is not known.
        """
        reader = row_reader(path)
        encoding = delimiter = ""
        try:
            num_bytes = path.stat().st_size
            if reader in (delimited_rows, json_rows):
                encoding = encoding_of(path, options.codec)[0]
        except (OSError, EOFError) as error:
            raise CatalogError(f"{path} cannot be read: {error}; check the path or copy the file again") from error
        if reader is delimited_rows:
            found = delimiter_of(path, options)[0]
            delimiter = _DELIMITERS.get(found, repr(found))
        return cls(path, num_bytes, encoding, delimiter)

    def sentence(self) -> str:
        """'CSV, utf-8, separated by commas, 12.3 MB'."""
        endings = [suffix.removeprefix(".").upper() for suffix in self.path.suffixes]
        kind = " in GZ".join(endings[-2:-1]) + " in GZ" if endings[-1] == "GZ" else endings[-1]
        unit, num_units = ("MB", self.num_bytes / 1e6) if self.num_bytes >= 1e5 else ("kB", self.num_bytes / 1e3)
        size = f"{num_units:,.1f} {unit}" if self.num_bytes >= 1e3 else f"{self.num_bytes} bytes"
        delimiter = f"separated by {self.delimiter}" if self.delimiter else ""
        return ", ".join(filter(None, (kind, self.encoding, delimiter, size)))
