"""Small catalogs that went wrong once, in ../shared/cases/training, and what is said of them now."""

from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from training.commands.inspect_command import InspectCommand, run_inspect

CASES = Path(__file__).parents[4] / "shared" / "cases" / "training"
MAKER = '"화장품제조업자,화장품책임판매업자 및 맞춤형화장품판매업자"'
SAID = {
    "train_ok.csv": "rows: 24 good, none rejected",
    "cp949.csv": "file: CSV, cp949, separated by commas",
    "umlauts_cp1252_train.csv": "categories: 6 in 2 levels, the largest 'Bad>Handtücher' (40 rows)",
    "umlauts_cp1252_val.csv": "file: CSV, cp1252, separated by commas",
    "semicolon.csv": "file: CSV, utf-8, separated by semicolons",
    "no_id_column.csv": "--columns 'product_name=상품,category=분류'",
    "heading_with_comma.csv": "columns: product_name from 'name', brand, maker from '화장품제조업자,화장품책임판매업자",
    "excel_destroyed_ids.csv": "expected ids, found numbers that a spreadsheet has rounded to '8.8E+12'",
    "good_names_dead_pictures.csv": "rows: 3 good, none rejected",
    "labels_nan_null.csv": "6 rows are labelled 'NULL', 'None', 'nan', which is read as no label; --keep-null-labels",
    "labels_nfc_nfd.csv": "12 spellings of labels are read as 6 categories",
    "label_spellings.csv": "4 labels have one level and hold '＞', such as '가전＞영상＞TV'; if it",
    "taxonomy_lost_zero_labels.csv": "lost leading zeros",
    "val_one_row.csv": "expected products of two categories or more",
}
COLUMNS = {"heading_with_comma.csv": f"product_name=name,category=main_category>sub_category,maker={MAKER}"}
TAXONOMIES = {"taxonomy_lost_zero_labels.csv": "taxonomy_ids.csv"}


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases/training")
@pytest.mark.parametrize("name", SAID)
def test_a_case_is_read_or_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    taxonomy = CASES / TAXONOMIES[name] if name in TAXONOMIES else None
    command = InspectCommand(
        CASES / name, ReadOptions(COLUMNS.get(name, "")), taxonomy, tmp_path / "page.html", cache_dir=tmp_path / "cache"
    )
    assert SAID[name] in run_inspect(command)
