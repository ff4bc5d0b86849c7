import csv
from dataclasses import replace
from pathlib import Path

import pytest

from aisle_client.errors import CallError, InputError
from client.commands import ProductTexts
from client.similar import SimilarCommand, similar
from model.errors import SettingsError
from tests.client.conftest import NUM_OFFERS
from tests.client.test_client_commands import printed, run_client

HEADINGS = [
    "query", "rank", "product_id", "score", "product_name", "category", "brand", "mall", "price", "group_id", "item_id",
    "error", "lost_picture",
]  # fmt: skip


@pytest.fixture
def command(search_target: str, tmp_path: Path) -> SimilarCommand:
    """About a product of the index, into a file."""
    return SimilarCommand(target=search_target, product_id="o1", out=tmp_path / "out.csv")


@pytest.fixture
def other(command: SimilarCommand) -> SimilarCommand:
    """About nothing yet."""
    return replace(command, product_id="")


def rows(command: SimilarCommand) -> list[dict[str, str]]:
    assert command.out is not None
    with command.out.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == HEADINGS
        return list(reader)


def test_products_like_one_of_the_index_are_printed_and_written(command: SimilarCommand):
    text = printed(similar, replace(command, k=NUM_OFFERS))
    assert "Similar products by joint vectors" in text
    assert "스키니 데님 34 무료배송" in text
    assert "34000034" in text
    written = rows(command)
    assert [int(row["rank"]) for row in written] == list(range(1, NUM_OFFERS))
    assert {row["query"] for row in written} == {"o1"}
    by_id = {row["product_id"]: row for row in written}
    assert -1 < float(by_id["o34"].pop("score")) < 1
    del by_id["o34"]["rank"]
    assert by_id["o34"] == {
        "query": "o1", "product_id": "o34", "product_name": "스키니 데님 34 무료배송", "category": "의류>하의>청바지",
        "brand": "brand4", "mall": "north", "price": "34000034", "group_id": "g7", "item_id": "", "error": "",
        "lost_picture": "",
    }  # fmt: skip
    assert by_id["o5"]["price"] == ""


def test_a_name_and_a_picture_are_one_product(other: SimilarCommand, offers: Path):
    picture = offers.parent / "images/o2.jpg"
    asked = replace(other, texts=ProductTexts(name="게이밍 laptop"), image=picture, k=3)
    assert "by joint vectors" in printed(similar, asked)
    assert {(row["query"], row["category"]) for row in rows(asked)} == {("게이밍 laptop", "디지털>노트북")}
    assert "by text vectors" in printed(similar, replace(asked, space="text"))
    alone = replace(asked, texts=ProductTexts())
    assert "by image vectors" in printed(similar, alone)
    assert rows(alone)[0]["query"] == str(picture)
    assert rows(alone)[0]["product_id"] == "o2"


def test_each_product_of_a_catalog_asks(other: SimilarCommand, offers: Path):
    lines = offers.read_text(encoding="utf-8").splitlines(keepends=True)
    spoilt = offers.with_name("spoilt.csv")
    text = "".join(lines).replace("images/o3.jpg", "images/o99.jpg").replace("images/o5.jpg", "images/page.jpg")
    spoilt.write_text(text, encoding="utf-8")
    (offers.parent / "images/page.jpg").write_text("<p>gone</p>")
    asked = replace(other, catalog=spoilt, k=4, show=2, limit=30)
    text = printed(similar, asked)
    assert "... and 28 more" in text
    assert "30 products, 120 hits, 2 asked about without their picture" in text
    written = rows(asked)
    assert [row["query"] for row in written if row["rank"] in ("1", "")] == [f"o{i}" for i in range(30)]
    assert not [row for row in written if row["query"] == row["product_id"]]
    lost = [row for row in written if row["lost_picture"]]
    assert [row["query"] for row in lost] == ["o3"] * 4 + ["o5"] * 4
    assert "o99.jpg: expected a picture file" in lost[0]["lost_picture"]
    assert "expected a JPEG" in lost[4]["lost_picture"]
    assert not [row for row in written if row["error"]]


def test_a_rows_group_says_which_hits_are_the_same_product(other: SimilarCommand, offers: Path):
    asked = replace(other, catalog=offers, k=100, limit=1)
    printed(similar, asked)
    assert {"o9", "o18", "o27"} <= {row["product_id"] for row in rows(asked)}
    printed(similar, replace(asked, exclude_same_product=True))
    assert "g0" not in {row["group_id"] for row in rows(asked)}


def test_conditions_without_a_hit_say_so(command: SimilarCommand, offers: Path):
    assert "no hit" in printed(similar, replace(command, filter=("brand=nobody",)))
    assert rows(command) == []
    asked = replace(command, product_id="", catalog=offers, filter=("brand=nobody",), limit=2)
    assert "2 products, 0 hits, 2 without hits" in printed(similar, asked)


def test_the_command_line_answers(search_target: str, tmp_path: Path):
    flags = ["--filter", "category=의류", "price=3000000..31000031", "--diversity", "0.5", "--k", "5"]
    out = ["--out", str(tmp_path / "out.csv")]
    done = run_client("similar", "--target", search_target, "--product-id", "o1", *flags, *out)
    assert (done.returncode, done.stderr) == (0, "")
    written = rows(SimilarCommand(out=tmp_path / "out.csv"))
    assert len(written) == 5
    assert all(3_000_000 <= float(row["price"]) <= 31_000_031 for row in written)
    assert {row["category"].partition(">")[0] for row in written} == {"의류"}


def test_what_cannot_be_asked_about_is_one_sentence(search_target: str):
    done = run_client("similar", "--target", search_target, "--product-id", "unknown")
    message = f"error: {search_target} answered NOT_FOUND: queries[0].product_id: the index has no product 'unknown'"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{message}; upsert it first\n"


def test_a_text_file_is_no_picture(other: SimilarCommand, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("this is a text")
    with pytest.raises(InputError, match=r"INVALID_ARGUMENT: expected a JPEG, PNG, .* found 14 bytes of none of them"):
        printed(similar, replace(other, image=tmp_path / "notes.txt"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"product_id": ""}, InputError, "expected --product-id ID, .* or --catalog FILE, found none of them"),
        ({"catalog": Path("a.csv")}, InputError, "or --catalog FILE, found --product-id and --catalog"),
        ({"texts": ProductTexts(brand="a")}, InputError, r"found --product-id and a product \(--name, --image, ...\)"),
        ({"product_id": "", "image": Path("no.jpg")}, InputError, r"picture no\.jpg cannot be read"),
        ({"k": 0}, InputError, "--k: expected 1 or more, found 0"),
        ({"k": 1_000_000}, CallError, "k: expected 1 to 1000, or 0 for 10; found 1000000"),
        ({"limit": -1}, InputError, "--limit: expected 0 or more, found -1"),
        ({"max_retries": -1}, InputError, "--max-retries: expected 0 or more, found -1"),
        ({"diversity": 1.0}, CallError, "diversity: expected 0 to below 1, found 1.0"),
        ({"filter": ("prise=3",)}, SettingsError, "unknown column 'prise'; .* did you mean 'price'?"),
        ({"out": Path("no/out.csv")}, InputError, r"no/out\.csv cannot be written: No such file or directory"),
        ({"target": "127.0.0.1:1", "max_retries": 0}, CallError, r"no answer from 127\.0\.0\.1:1 .*; check --target"),
    ],
)
def test_wrong_flags_are_named(command: SimilarCommand, changes: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        printed(similar, replace(command, **changes))
