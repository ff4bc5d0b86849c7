"""Options for reading a catalog's file, flags of every command that reads one."""

import codecs
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from catalog.columns import parse_columns
from model.errors import SettingsError
from model.taxonomy import SEPARATOR

#: What a file says by itself.
AUTO = "auto"
_NAMED_DELIMITERS = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a catalog's file.

    Raises:
        SettingsError: a value cannot be used.
    """

    columns: str = ""
    """Other headings: product_name=title,category=main>sub,..."""
    encoding: str = AUTO
    """Encoding of a text file, such as utf-8, cp949 or gb18030; auto looks at its bytes."""
    delimiter: str = AUTO
    """Delimiter of a text table: a character, tab, comma, semicolon or pipe; auto looks at its first lines."""
    separator: str = SEPARATOR
    """Text between the levels of a label, in the taxonomy, too."""
    keep_null_labels: bool = False
    """Keep nan, NULL, None and N/A as categories; else they stand for no label."""

    def __post_init__(self) -> None:
        _ = self.headings, self.codec, self.delimiter_character
        if not self.separator.strip():
            raise SettingsError(f"--separator: expected a text such as / or >, found {self.separator!r}")

    @cached_property
    def headings(self) -> dict[str, str]:
        """{column: heading in the file} of `columns`, see `catalog.columns.parse_columns`."""
        return parse_columns(self.columns)

    @cached_property
    def codec(self) -> str:
        """Python's name of the encoding, such as 'cp949'; '' for auto."""
        if self.encoding == AUTO:
            return ""
        try:
            "a".encode(self.encoding)  # bytes to bytes, such as base64, is no encoding of a text
            return codecs.lookup(self.encoding).name.removesuffix("-sig")
        except (LookupError, ValueError) as error:
            raise SettingsError(
                f"--encoding: expected auto or the name of an encoding, such as utf-8 or cp949, found {self.encoding!r}"
            ) from error

    @cached_property
    def delimiter_character(self) -> str:
        """One character; '' for auto."""
        found = "" if self.delimiter == AUTO else _NAMED_DELIMITERS.get(self.delimiter, self.delimiter)
        if self.delimiter != AUTO and (len(found) != 1 or found in '"\r\n\0'):
            raise SettingsError(
                "--delimiter: expected auto, one character, tab, comma, semicolon or pipe, found"
                f" {self.delimiter!r}; write --delimiter ';'"
            )
        return found

    def requiring(self, column: str) -> "ReadOptions":
        """The same, for a file that has to have a column, by its own name where it is not mapped."""
        return self if column in self.headings else replace(self, columns=f"{column}={column},{self.columns}")

    def flags(self) -> list[str]:
        """The arguments of a command line that say the same; none for the defaults."""
        found: list[str] = []
        for name, value in self.changed().items():
            flag = f"--{name.replace('_', '-')}"
            found += [flag] if value is True else [f"{flag}={value}"]
        return found

    def changed(self) -> dict[str, str | bool]:
        """The values that are no defaults, by name."""
        return {
            entry.name: asdict(self)[entry.name] for entry in fields(self) if asdict(self)[entry.name] != entry.default
        }


#: For a file that says everything by itself.
DEFAULT_OPTIONS = ReadOptions()
