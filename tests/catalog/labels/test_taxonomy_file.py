"""The shop's tree from a file."""

from pathlib import Path

import pytest

from catalog.labels.taxonomy_file import ancestors, read_taxonomy
from model.errors import CatalogError, TaxonomyError


def write(tmp_path: Path, text: str | bytes, name: str = "tree.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_leaves_are_what_nothing_lies_below_and_ids_cover_inner_nodes(tmp_path: Path) -> None:
    """'A B' begins like 'A' but is no child of it; B>D is listed without an id, twice."""
    text = "\ufeffcategory_id,note,category\n10,x,A\n12,x, A > Z \n11,x,A>C\n20,x,A B\n,x,B>D\n,x,B>D\n"
    taxonomy = read_taxonomy(write(tmp_path, text))
    assert taxonomy.leaves == ("A B", "A>C", "A>Z", "B>D")
    assert taxonomy.category_ids == {"A": "10", "A>Z": "12", "A>C": "11", "A B": "20"}


def test_tsv(tmp_path: Path) -> None:
    assert read_taxonomy(write(tmp_path, "category_id\tcategory\n1\tA,B>C\n", "tree.tsv")).leaves == ("A,B>C",)


def test_ancestors() -> None:
    assert ancestors("A>B>C") == ["A>B", "A"]
    assert ancestors("A") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id,category\n1,A\n",
            r"tree\.csv: expected headings category_id and category, found 'id', 'category'; rename",
        ),
        ("category_id,category\n1,A\n2,A\n", r"tree\.csv, line 3: category 'A' has the ids '1' and '2'; keep one"),
        ("category_id,category\n1,A\n1,B\n", r"line 3: the id '1' stands for 'A' and 'B'; give each its own"),
        ("category_id,category\n1,A\n1\u200b,B\n", "line 3: the id '1\u200b|1\\\\u200b' stands for 'A' and 'B'"),
        ("category_id,category\n1, > \n", r"line 2: expected a category, found none; write levels joined by '>'"),
        ("category_id,category\n1,A\n2\n", r"line 3: wrong number of fields: expected 2 as in the heading, found 1"),
        (b"category_id,category\n1,\xb0\n", r"line 2: expected UTF-8, found '\\xb0'; save the file as UTF-8"),
        ("category_id,category\n", r"expected at least one category, found none"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(TaxonomyError, match=message):
        read_taxonomy(write(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read"):
        read_taxonomy(tmp_path / "none.csv")
    with pytest.raises(CatalogError, match=r"expected a taxonomy that ends in \.csv or \.tsv, found 'tree\.json'"):
        read_taxonomy(tmp_path / "tree.json")
