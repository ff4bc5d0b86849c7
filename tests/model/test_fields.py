"""Every field of the list goes all the way: catalog, settings, contract, command line, model inputs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2
from catalog.rows import presence_flags, read_catalog
from client.commands import ClassifyCommand
from model.errors import ProductError
from model.preprocessor import Preprocessor
from model.product import FIELD_SPECS, FIELDS, TEXT_FIELDS, FieldSpec, Product, field_words
from model.settings import FieldSettings, ImageSettings, Settings, settings_from_dict, settings_to_dict, text_fields
from server.engine.request import parse_product
from tests.conftest import TOY_SETTINGS, write_catalog
from tokenizer.settings import TokenizerSettings
from tokenizer.tokenizer import Tokenizer

TEXTS = [spec for spec in FIELD_SPECS if spec.kind == "text"]


@pytest.fixture(scope="module")
def preprocessor() -> Preprocessor:
    """A model of all fields, in whose tokenizer every n-gram was seen."""
    tokenizer = Tokenizer(
        TokenizerSettings(analyzer="script", vector_size=2, hash_buckets=64, ngram_min_count=1),
        text_fields(TEXT_FIELDS, TOY_SETTINGS.fields),
        ["red"],
        np.ones((3, 2), np.float32),
        np.ones(64, np.int64),
        dict.fromkeys(TEXT_FIELDS, 3),
    )
    return Preprocessor(tokenizer, FIELDS, ImageSettings(image_size=8), 3)


@pytest.mark.parametrize("spec", TEXTS, ids=lambda spec: spec.name)
def test_a_text_goes_from_the_catalog_to_the_model_s_inputs(
    spec: FieldSpec, preprocessor: Preprocessor, tmp_path: Path
) -> None:
    catalog = write_catalog(tmp_path / "shop.csv", [{"product_id": "p", spec.column: "red"}])
    ((row,),) = read_catalog(catalog)
    assert row.text(spec.name) == "red"
    given = [field == spec.name for field in FIELDS]
    np.testing.assert_array_equal(presence_flags([row]), np.float32([given]))
    features = preprocessor.features([row.product(None)])
    np.testing.assert_array_equal(features["presence"], np.float32([given]))
    others = {name for name, values in features.items() if values.any()} - {"presence"}
    assert others
    assert all(name.startswith(f"{spec.name}_") for name in others)
    assert (f"{spec.name}_token_ids" in features) == (spec.num_tokens > 0)


@pytest.mark.parametrize("spec", TEXTS, ids=lambda spec: spec.name)
def test_a_text_goes_over_the_wire_and_back(spec: FieldSpec) -> None:
    product = dataclasses.replace(Product("p"), **{spec.column: "빨간 모자"})
    message = classifier_pb2.Product.FromString(product_message(product).SerializeToString())
    assert parse_product(message, max_text_chars=100) == product


def test_the_client_has_a_flag_for_every_text() -> None:
    flags = {entry.name for entry in dataclasses.fields(ClassifyCommand().texts)}
    assert flags == set(TEXT_FIELDS)
    assert ClassifyCommand().image is None


@pytest.mark.parametrize("spec", FIELD_SPECS, ids=lambda spec: spec.name)
def test_a_field_has_the_settings_of_its_kind(spec: FieldSpec) -> None:
    kinds = {f"{spec.name}_dropout_rate", f"{spec.name}_loss_weight"} if spec.has_head else set()
    if spec.kind == "text":
        kinds |= {f"{spec.name}_ngrams", f"linear_{spec.name}_weight"}
    if spec.num_tokens:
        kinds.add(f"{spec.name}_length")
    names = {entry.name for entry in dataclasses.fields(FieldSettings)}
    assert {name for name in names if name.removeprefix("linear_").startswith(f"{spec.name}_")} == kinds
    values = settings_to_dict(Settings())
    for name in kinds:
        values["fields"][name] = type(values["fields"][name])(0.75 if "_rate" in name else 7)
        changed = settings_from_dict(values, "test")
        assert getattr(changed.fields, name) == values["fields"][name]


def test_the_salts_of_n_grams_never_change() -> None:
    """Bundles keep n-grams by them."""
    salts = {field.name: field.salt for field in text_fields(TEXT_FIELDS, FieldSettings())}
    assert salts == {"name": 0, "mall_category": 1, "brand": 2, "maker": 3, "description": 0}


def test_fields_in_words(preprocessor: Preprocessor) -> None:
    assert field_words(("name",)) == "a name"
    assert field_words(("name", "brand", "image")) == "a name, a brand or a picture"
    with pytest.raises(ProductError) as raised:
        preprocessor.check(Product("p"))
    assert str(raised.value) == f"expected {field_words(FIELDS)}; every field is empty"
