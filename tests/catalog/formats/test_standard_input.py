"""Catalogs that come from standard input."""

import gzip
import io
from pathlib import Path

import pytest

from catalog.formats.standard_input import catalog_from_standard_input
from labeling.commands.command_line import main
from model.errors import SettingsError

TEXT = b"product_name,category\ncup,Kitchen\n" * 2_000


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (TEXT, "standard-input.csv"),
        (b'\xef\xbb\xbf \n{"product_name": "cup"}\n', "standard-input.jsonl"),
        (gzip.compress(TEXT), "standard-input.csv.gz"),
        (gzip.compress(b'{"product_name": "cup"}\n'), "standard-input.jsonl.gz"),
        (b"PAR1...", "standard-input.parquet"),
        (b"PK\x03\x04...", "standard-input.xlsx"),
        (b"", "standard-input.csv"),
        (b"\x1f\x8bdamaged", "standard-input.csv.gz"),
    ],
    ids=["csv", "jsonl", "csv.gz", "jsonl.gz", "parquet", "xlsx", "empty", "damaged"],
)
def test_a_file_of_the_format_that_it_begins_with(content: bytes, ending: str) -> None:
    for arguments in (["--bundle", "b", "--catalog", "-"], ["--bundle", "b", "--catalog=-"]):
        with catalog_from_standard_input(arguments, io.BytesIO(content)) as given:
            path = Path(given[-1].removeprefix("--catalog="))
            assert given[:2] == ["--bundle", "b"]
            assert (path.name, path.read_bytes()) == (ending, content)
        assert not path.parent.exists()


def test_other_dashes_stay_and_nothing_is_read() -> None:
    stream = io.BytesIO(b"abc")
    arguments = ["--catalog", "a-", "--brand", "-", "-"]
    with catalog_from_standard_input(arguments, stream) as given:
        assert given == arguments
    assert stream.read() == b"abc"


def test_it_can_be_read_once() -> None:
    with (
        pytest.raises(SettingsError, match="expected one catalog from standard input, found '-' twice; give the other"),
        catalog_from_standard_input(["--train", "-", "--val=-"], io.BytesIO()),
    ):
        raise AssertionError


def test_a_command_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    arguments = ["--catalog", "-", "--out", str(tmp_path / "out"), f"--cache-dir={tmp_path}/cache"]
    assert main(["distribution", *arguments]) == 0
    assert "3,999 products in 2 categories" in capsys.readouterr().out
