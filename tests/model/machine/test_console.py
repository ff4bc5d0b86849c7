"""What commands print where there is no terminal."""

import pytest
from rich.table import Table

from model.machine.console import wide_console


def test_a_table_in_a_pipe_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("product", "category", "probability")
    cells = ["반팔 티셔츠 " * 20, ">".join(["의류"] * 40), "1.000"]
    table.add_row(*cells)
    wide_console().print(table)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(cell.strip() in printed for cell in cells)
