from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from model.settings import ImageSettings, Settings
from training.default_settings import CatalogSize, catalog_size, default_settings, describe
from training.encoding.parsed_catalog import parse_catalog


def test_many_rows_get_the_usual_defaults_and_very_many_fewer_passes():
    assert default_settings(CatalogSize(50_000, has_pictures=True)) == Settings()
    assert default_settings(CatalogSize(100_000, has_pictures=False)).training.epochs == 6


@pytest.mark.parametrize("has_pictures", [True, False])
def test_fewer_rows_get_more_passes_so_that_the_steps_suffice(has_pictures: bool):
    epochs = [default_settings(CatalogSize(rows, has_pictures)).training.epochs for rows in (1, 2_000, 40_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 60
    for rows, passes in zip((2_000, 40_000), epochs[1:], strict=True):
        settings = default_settings(CatalogSize(rows, has_pictures)).training
        assert passes * rows / settings.batch_size >= (1_000 if has_pictures or rows > 5_000 else 480)
        assert settings.patience == passes


def test_very_few_texts_are_learned_in_fewer_steps():
    """480 steps of 64 rows, and 20 passes or more, where 5,000 rows get 1,500 steps."""
    found = {rows: default_settings(CatalogSize(rows, False)).training.epochs for rows in (500, 1_000, 4_999, 5_000)}
    assert found == {500: 60, 1_000: 31, 4_999: 20, 5_000: 20}


def test_pictures_call_for_dropout_on_the_name():
    with_pictures, without = (default_settings(CatalogSize(5_000, shown)).fields for shown in (True, False))
    assert with_pictures.name_dropout_rate > without.name_dropout_rate


def test_pictures_fine_tune_the_backbone_that_is_cheap_to_train():
    epochs = [default_settings(CatalogSize(rows, True)).image.finetune_epochs for rows in (1, 1_000, 7_500, 40_000)]
    assert epochs == [20, 20, 6, 3]
    assert default_settings(CatalogSize(1_000, True)).image.finetune_layers == 65
    assert default_settings(CatalogSize(1_000, False)).image == ImageSettings()
    assert default_settings(CatalogSize(1_000, True), "ResNet50").image == ImageSettings()


def test_of_very_few_rows_the_linear_head_learns_leaves_and_little_of_lone_fields():
    few, usual = default_settings(CatalogSize(1_000, has_pictures=False)).linear, Settings().linear
    assert few.linear_parent_weight == 0 < usual.linear_parent_weight
    assert 0 < few.linear_single_field_weight < usual.linear_single_field_weight
    assert default_settings(CatalogSize(10_000, has_pictures=False)).linear == usual


def test_buckets_grow_with_the_n_grams():
    buckets = [default_settings(CatalogSize(rows, False)).tokenizer.hash_buckets for rows in (1_000, 14_999, 15_000)]
    assert buckets == [65_536, 65_536, Settings().tokenizer.hash_buckets]


@pytest.mark.parametrize(
    ("num_rows", "has_pictures", "expected"),
    [(1_000, False, "on"), (19_999, False, "on"), (20_000, False, "off"), (1_000, True, "off")],
)
def test_few_texts_are_read_with_pretrained_words(num_rows: int, has_pictures: bool, expected: str):
    assert default_settings(CatalogSize(num_rows, has_pictures)).tokenizer.pretrained_words == expected


def test_the_size_is_counted_with_mapped_columns(tmp_path: Path):
    catalog = tmp_path / "shop.csv"
    catalog.write_text("sku,title,photo\n1,red shirt,a.jpg\n2,blue shirt,\n,no id,b.jpg\n", encoding="utf-8")
    options = ReadOptions("product_id=sku,product_name=title,image=photo")
    size = catalog_size(parse_catalog(catalog, options, tmp_path / "cache").statistics)
    assert size == CatalogSize(num_rows=2, has_pictures=True)


def test_what_was_chosen_is_described():
    size = CatalogSize(1_000, has_pictures=False)
    sentence = describe(size, default_settings(size))
    assert sentence.startswith("defaults for 1,000 rows without pictures: ")
    assert "batch_size 64" in sentence
    assert describe(CatalogSize(60_000, has_pictures=True), Settings()).startswith(
        "defaults for 60,000 rows with pictures: the usual ones;"
    )
