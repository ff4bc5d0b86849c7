"""Warnings about labels that a shop may not have meant as they stand."""

from pathlib import Path

from catalog.labels.warnings import label_warnings
from catalog.rows import read_catalog
from catalog.statistics import CatalogStatistics, StatisticsCounter


def counted(path: Path, *labels: str) -> CatalogStatistics:
    path.write_text("product_name,category\n" + "".join(f"tea,{label}\n" for label in labels), encoding="utf-8")
    counter = StatisticsCounter(path)
    for rows in read_catalog(path, spellings=counter.spellings):
        counter.add(rows)
    return counter.statistics()


def test_what_a_program_writes_for_nothing_is_no_label(tmp_path: Path) -> None:
    found = counted(tmp_path / "a.csv", "nan", "NaN", "NULL", "None", "A>None", "A>B")
    assert found.label_counts == {"": 4, "A>None": 1, "A>B": 1}
    assert found.label_warnings == [
        "4 rows are labelled 'NULL', 'NaN', 'None', 'nan', which is read as no label; --keep-null-labels makes"
        " categories of them"
    ]


def test_almost_equal_labels_are_named(tmp_path: Path) -> None:
    found = counted(tmp_path / "a.csv", "Food>Tea", "food>tea", "Food/Tea", "Home")
    assert len(found.label_counts) == 4
    expected = "3 labels are almost equal to another one, such as 'Food/Tea' and 'Food>Tea', and stay different"
    assert found.label_warnings[0].startswith(expected)


def test_paths_in_one_piece_are_named_with_what_may_separate_them() -> None:
    for separator in ("/", " | ", "--", "＞", " » "):
        labels = [f"Food{separator}Tea", f"Food{separator}Rice", "Home"]
        (warning,) = label_warnings(labels)
        assert warning.startswith(f"2 labels have one level and hold {separator.strip()!r}, such as")
    assert not list(label_warnings(["Food>Tea/Coffee", "Food>Rice", "Home", "Pans/Pots"][:3]))
    assert not list(label_warnings(["Food", "Home", "Garden", "Pans/Pots"]))
