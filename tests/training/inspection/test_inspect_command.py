"""`training inspect` as a newcomer runs it."""

import io
import re
import shlex
from pathlib import Path

import pytest

from catalog.labels.label_space import find_labels
from tests.conftest import toy_rows, write_catalog
from tests.labeling.support import write_rows
from training.commands import command_line
from training.commands.command_line import main
from training.commands.train_command import TrainCommand
from training.encoding.parsed_catalog import parse_catalog


class Shop:
    """A folder with a catalog, and the command that looks at it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]):
        self.folder, self._capsys = folder, capsys
        self.page = folder / "look.html"

    def look(self, catalog: Path, *flags: str) -> list[str]:
        """The lines that are printed."""
        call = [
            "inspect",
            "--catalog",
            str(catalog),
            "--out",
            str(self.page),
            "--cache-dir",
            str(self.folder / "cache"),
        ]
        assert main([*call, *flags]) == 0
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    return Shop(tmp_path, capsys)


def test_a_good_catalog_from_its_form_to_the_command(shop: Shop) -> None:
    rows = toy_rows(shop.folder, "t", 90)
    rows += [{**rows[0], "product_name": "twice"}, {**rows[1], "product_id": "new", "image": "images/gone.jpg"}]
    lines = shop.look(write_catalog(shop.folder / "shop.csv", rows))
    said = dict(line.partition(": ")[::2] for line in lines)
    assert said["file"].startswith("CSV, utf-8, separated by commas, ")
    assert said["columns"] == (
        "product_id, product_name, mall_category (85% filled), brand, maker, image (74% filled), category; empty:"
        " description, group_id, item_id, mall, price, model_number, source, month"
    )
    assert said["rows"] == (
        "91 good, 1 rejected (1 duplicate product_id), such as line 92, product 't0': duplicate product_id: the first"
        " row that has it stays; give each row its own"
    )
    assert said["categories"] == "3 in 3 levels, the largest '의류>하의>청바지' (31 rows)"
    assert said["duplicates"].startswith("1 repeated product_id; 2 products have a near-duplicate, such as '데님")
    assert re.match(r"68 named; of 68 tried 1 cannot be read, such as line 93: unreadable .*gone.jpg", said["pictures"])
    assert "149 products that calibrate are needed" in said["warning"]
    assert lines[-2] == "train on it:"
    assert lines[-1] == f"python -m training train --catalog {shop.folder}/shop.csv --bundle models/shop/1"
    page = shop.page.read_text(encoding="utf-8")
    assert "This can be trained on, but a warning says" in page
    assert "gone.jpg" in page
    assert not re.search(r"""(src|href)=["']http""", page)


def test_unknown_headings_are_proposed_and_not_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"sku": f"a{i}", "title, long": "", "title": f"{kind} {i}", "category1": kind[0], "category2": kind}
        for i, kind in enumerate(["shirt", "pan"] * 10)
    ]
    catalog = write_rows(shop.folder / "my shop's.csv", rows)
    lines = shop.look(catalog)
    assert lines[1:3] == ["columns: none", "not used: 'sku', 'title, long', 'title', 'category1', 'category2'"]
    assert "none of its headings is known as product_name, mall_category" in lines[3]
    assert lines[4] == (
        "perhaps meant, but not read: --columns 'product_id=sku,product_name=title,category=category1>category2'"
    )
    given: list[TrainCommand] = []
    monkeypatch.setattr(command_line, "run_train", given.append)
    words = shlex.split(lines[-1])
    assert words[:3] == ["python", "-m", "training"]
    assert main([*words[3:], "--cache-dir", str(shop.folder / "cache")]) == 0
    assert (given[0].catalog, str(given[0].bundle)) == (catalog, "models/my-shop-s/1")
    parsed = parse_catalog(catalog, given[0].read_options, shop.folder / "cache")
    assert find_labels(parsed.statistics).taxonomy.leaves == ("p>pan", "s>shirt")


def test_a_leak_stops_and_the_command_leaves_it_out(shop: Shop) -> None:
    rows = [{**row, "mall_category": row["category"], "image": ""} for row in toy_rows(shop.folder, "t", 30)]
    lines = shop.look(write_catalog(shop.folder / "train.csv", rows))
    (stop,) = (line for line in lines if line.startswith("training would stop: "))
    assert "mall_category holds the label itself in 100.0% of the rows" in stop
    assert lines[-1].endswith(f" --bundle models/{shop.folder.name.replace('[', '-')}/1 --fields name brand maker")
    assert "Training would stop before its work" in shop.page.read_text(encoding="utf-8")


def test_one_category_and_most_rows_rejected_stop(shop: Shop) -> None:
    rows = [{"product_id": "1", "product_name": f"shirt {i}", "category": "A"} for i in range(9)]
    stops = [line for line in shop.look(write_catalog(shop.folder / "shop.csv", rows)) if "would stop" in line]
    assert "found 'A' for all 1 labelled rows" in stops[0]
    assert stops[1] == "training would stop: 8 of 9 rows are rejected; correct them"


def test_parents_that_nobody_reads_are_named_and_written_into_the_command(shop: Shop) -> None:
    pairs = [(f"type {i}", f"group {i // 4}") for i in range(16)] + [("gift", "group 0"), ("gift", "group 3")]
    rows = [
        {"product_id": f"{i}", "product_name": f"[/{label}] :smile: {i}", "kind": label, "shelf": group}
        for i, (label, group) in enumerate(pairs * 3)
    ]
    lines = shop.look(write_rows(shop.folder / "shop.csv", rows), "--columns", "category=kind")
    assert any("1 of 17 labels stand under several values of 'shelf'" in line for line in lines)
    assert any("[/type 0] :smile: 0" in line for line in lines)  # names are printed as they are
    assert "--columns 'category=shelf>kind'" in lines[-1]


def test_ids_that_lost_their_zeros_and_rounded_ids_are_findings(shop: Shop) -> None:
    tree = shop.folder / "tree.csv"
    tree.write_text("category_id,category\n0101,A\n0102,B\n", encoding="utf-8")
    rows = [
        {"product_id": "8.8E+12" if i > 1 else str(i), "product_name": f"shirt {i}", "category": "101"}
        for i in range(9)
    ]
    lines = shop.look(write_catalog(shop.folder / "some.csv", rows[:2]), "--taxonomy", str(tree))
    assert "ids lost leading zeros: the id '0101' is '101' here" in lines[-4]
    assert lines[-1].endswith(f"--taxonomy {tree} --bundle models/some/1")
    lines = shop.look(write_catalog(shop.folder / "all.csv", rows))
    assert "found numbers that a spreadsheet has rounded to '8.8E+12'" in lines[-4]


def test_how_a_file_is_read_goes_into_the_command(shop: Shop) -> None:
    text = "product_name;kind;shelf\n" + "".join(f"신발 {i};A/{'bc'[i % 2]};s{i}\n" for i in range(9))
    (shop.folder / "shop.csv").write_bytes(text.encode("cp949"))
    flags = ["--encoding", "cp949", "--separator", "/", "--columns", "category=kind"]
    lines = shop.look(shop.folder / "shop.csv", *flags)
    assert lines[0].startswith("file: CSV, cp949, separated by semicolons, ")
    assert any(line.startswith("categories: 2 in 2 levels") for line in lines)
    assert shlex.split(lines[-1])[6:10] == ["--columns", "category=kind", "--encoding=cp949", "--separator=/"]


def test_standard_input_goes_into_the_command_as_such(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.TextIOWrapper(io.BytesIO(b"product_name,category\nred shirt,A\npan,B\n"))
    monkeypatch.setattr("sys.stdin", text)
    assert shop.look(Path("-"))[-1] == "python -m training train --catalog - --bundle models/standard-input/1"


def test_bytes_that_cannot_be_decoded_are_shown_and_cost_only_their_row(shop: Shop) -> None:
    catalog = shop.folder / "shop.csv"
    rows = [f"{i},{name} {i},{name}".encode() for i, name in enumerate(["신발", "가방"] * 4)]
    catalog.write_bytes(b"\n".join([b"product_id,product_name,category", b"x,\xff shoe,\xff", *rows]))
    lines = shop.look(catalog)
    assert "8 good, 1 rejected (1 undecodable bytes), such as line 2, product 'x': undecodable bytes: " in lines[2]
    assert "\\xff shoe" in shop.page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--columns", "brand=mark"], "expected a heading 'mark' for brand, found"),
        (["--pictures", "-1"], "--pictures: expected 0 or more, found -1"),
    ],
)
def test_wrong_flags_are_errors(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = write_catalog(tmp_path / "shop.csv", [{"product_id": "1", "product_name": "a"}])
    assert main(["inspect", "--catalog", str(catalog), "--out", str(tmp_path / "p.html"), *flags]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()
