"""Files of pairs: bad rows are told with their line, the rest is read."""

import csv
from pathlib import Path

import pytest

from catalog.pairs import Pair, read_labelled_pairs, read_pairs
from catalog.rejects import Rejects
from model.errors import CatalogError

IDS = ("a", "b", "c", "d")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rejected(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["line"], row["reason"]) for row in csv.DictReader(file)]


def test_pairs_are_read_by_heading_and_bad_rows_are_told(tmp_path: Path) -> None:
    text = 'why,right_id,left_id\n"two\nlines",b,a\nx,c,c\nx,zzz,a\nx,b\nx,d,c\n'
    with Rejects(tmp_path / "rejects.csv") as rejects:
        pairs = read_pairs(write(tmp_path / "pairs.csv", text), IDS, rejects)
    assert pairs == [Pair("a", "b"), Pair("c", "d")]
    assert rejected(tmp_path / "rejects.csv") == [
        ("4", "pair with itself: expected two products, found one; remove the row"),
        ("5", "unknown id: right_id 'zzz' is not in the catalog; correct it"),
        (
            "6",
            "wrong number of fields: expected 3 as in the heading, found 2; put a field that holds the separator, a"
            " quote or a line end in quotes",
        ),
    ]


def test_labels_are_read_once_and_those_without_an_answer_passed_over(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", "left_id,right_id,same\na,b,1\nb,a,yes\nc,d,\na,c,0\nb,c,maybe\n")
    two = write(tmp_path / "two.tsv", "left_id\tright_id\tsame\nd\tc\tFalse\n")
    with Rejects(tmp_path / "rejects.csv") as rejects:
        pairs = read_labelled_pairs([one, two], IDS, rejects)
    assert pairs == [Pair("a", "b", True), Pair("a", "c", False), Pair("d", "c", False)]
    assert rejected(tmp_path / "rejects.csv") == [
        ("6", "unknown answer: expected 1 or 0 in same, found 'maybe'; correct it")
    ]


def test_answers_that_contradict_each_other_are_all_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.csv", "left_id,right_id,same\na,b,1\na,c,1\nb,a,0\n")
    with Rejects(tmp_path / "rejects.csv") as rejects:
        assert read_labelled_pairs([path], IDS, rejects) == [Pair("a", "c", True)]
    assert rejected(tmp_path / "rejects.csv") == [
        ("4", "contradiction: expected the same answer as in pairs.csv, line 2, found the other; keep the right one"),
        ("2", "contradiction: another row says the other; keep the right one"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "p.csv",
            "left_id,right\na,b\n",
            r"p\.csv: expected headings left_id, right_id, same, found 'left_id', 'right'",
        ),
        ("p.txt", "left_id,right_id,same\n", r"p\.txt: expected pairs in a file that ends in \.csv or \.tsv"),
        ("p.csv", "", r"p\.csv"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with Rejects(None) as rejects, pytest.raises(CatalogError, match=message):
        read_labelled_pairs([write(tmp_path / name, text)], IDS, rejects)
