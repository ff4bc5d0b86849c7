"""Settings in and out, and what a misspelt one answers."""

import dataclasses
import inspect
import json
from pathlib import Path

import pytest

import model.settings
from model.errors import SettingsError
from model.settings import Settings, load_settings, settings_from_dict, settings_to_dict
from tests.conftest import TOY_SETTINGS


def toml(values: dict[str, dict[str, object]]) -> str:
    """Plain values as TOML; JSON spells these values alike."""
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items())
        for group, entries in values.items()
    )


@pytest.mark.parametrize("settings", [Settings(), TOY_SETTINGS], ids=["defaults", "toy"])
def test_settings_survive_a_dict_json_and_toml(settings: Settings, tmp_path: Path) -> None:
    values = settings_to_dict(settings)
    assert settings_from_dict(values, "dict") == settings
    assert settings_from_dict(json.loads(json.dumps(values)), "json") == settings
    path = tmp_path / "config.toml"
    path.write_text(toml(values), encoding="utf-8")
    assert load_settings(path) == settings


def test_what_is_not_named_keeps_its_default() -> None:
    assert settings_from_dict({}, "x") == Settings()
    changed = settings_from_dict({"tokenizer": {"min_count": 3, "word_orders": [1]}, "model": {}}, "x")
    defaults = Settings()
    tokenizer = dataclasses.replace(defaults.tokenizer, min_count=3, word_orders=(1,))
    assert changed == dataclasses.replace(defaults, tokenizer=tokenizer)


def test_a_whole_number_will_do_for_a_float() -> None:
    rate = settings_from_dict({"training": {"learning_rate": 1}}, "x").training.learning_rate
    assert rate == 1.0
    assert type(rate) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"tokeniser": {}},
            "f: unknown table [tokeniser]; the tables are fields, tokenizer, model, image, training, linear, neighbors,"
            " noise, sampling; did you mean 'tokenizer'?",
        ),
        (
            {"zzz": {}},
            "f: unknown table [zzz]; the tables are fields, tokenizer, model, image, training, linear, neighbors,"
            " noise, sampling",
        ),
        ({"tokenizer": 3}, "f: 'tokenizer' has to be a table of settings, found 3"),
        ({"training": {"epoch": 3}}, "f: [training]: unknown setting 'epoch'; did you mean 'epochs'?"),
        ({"training": {"zzz": 3}}, "f: [training]: unknown setting 'zzz'"),
        ({"training": {"epochs": "3"}}, "f: [training] epochs: expected int, found '3'"),
        ({"training": {"epochs": 3.0}}, "f: [training] epochs: expected int, found 3.0"),
        ({"training": {"epochs": True}}, "f: [training] epochs: expected int, found True"),
        ({"training": {"learning_rate": "x"}}, "f: [training] learning_rate: expected float, found 'x'"),
        ({"training": {"learning_rate": True}}, "f: [training] learning_rate: expected float, found True"),
        (
            {"training": {"optimizer": "adam"}},
            "f: [training] optimizer: expected one of Adam, Adagrad, Adadelta, SGD, found 'adam'",
        ),
        ({"image": {"backbone": 1}}, "f: [image] backbone: expected str, found 1"),
        ({"tokenizer": {"word_orders": 1}}, "f: [tokenizer] word_orders: expected a list, found 1"),
        (
            {"tokenizer": {"word_orders": [1, "2"]}},
            "f: [tokenizer] word_orders: expected int, found '2'",
        ),
    ],
)
def test_a_wrong_setting_names_its_place(values: dict, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_from_dict(values, "f")
    assert str(raised.value) == message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"config file .*nowhere.toml cannot be read: No such file or directory"):
        load_settings(tmp_path / "nowhere.toml")
    for content in (b"[tokenizer\n", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(SettingsError, match=r"config file .*bad.toml is not TOML: "):
            load_settings(tmp_path / "bad.toml")


def test_every_setting_is_explained() -> None:
    """A docstring stands under each field; the command line makes its help of them."""
    source = inspect.getsource(model.settings)
    lines = [line.strip() for line in source.splitlines()]
    groups = (Settings().model, Settings().image, Settings().training, Settings().linear, Settings().noise)
    for group in groups:
        for field in dataclasses.fields(group):
            position = next(i for i, line in enumerate(lines) if line.startswith(f"{field.name}: "))
            assert lines[position + 1].startswith('"""'), field.name


@pytest.mark.parametrize(
    ("group", "name", "value", "expected"),
    [
        ("tokenizer", "hash_buckets", 1000, "hash_buckets: expected a power of two, found 1000"),
        ("fields", "name_length", 0, "name_length: expected 1 or more, found 0"),
        ("tokenizer", "word_orders", [0], r"word_orders: expected orders of 1 or more, found \(0,\)"),
        ("fields", "name_dropout_rate", 1.5, "name_dropout_rate: expected 0 to below 1, found 1.5"),
        ("model", "ngram_rows", 0, "ngram_rows: expected a power of two, found 0"),
        ("model", "ngram_rows", 48, "ngram_rows: expected a power of two, found 48"),
        ("model", "fcl_dim", 0, "fcl_dim: expected 1 or more, found 0"),
        ("linear", "linear_cost", 0.0, "linear_cost: expected more than 0, found 0.0"),
        ("linear", "linear_cost", "least", r"linear_cost: expected one of auto, found 'least'"),
        ("linear", "linear_cost", True, "linear_cost: expected float, found True"),
        ("noise", "noise_rate", 1.0, "noise_rate: expected 0 to below 1, found 1.0"),
        ("noise", "selfie_history", 0, "selfie_history: expected 1 or more, found 0"),
        ("noise", "selfie_agreeing_votes", 9, "selfie_agreeing_votes: expected at most selfie_history, 4, found 9"),
        ("noise", "selfie_class_quota", 1.5, "selfie_class_quota: expected 0 to 1, found 1.5"),
        ("noise", "selfie_restarts", -1, "selfie_restarts: expected 0 or more, found -1"),
        ("linear", "linear_rank", 0, "linear_rank: expected 1 or more, found 0"),
        ("linear", "linear_parent_weight", -0.1, "linear_parent_weight: expected 0 or more, found -0.1"),
        ("image", "finetune_layers", -2, "finetune_layers: expected -1 or more, found -2"),
        ("training", "batch_size", 0, "batch_size: expected 1 or more, found 0"),
        ("training", "learning_rate", 0.0, "learning_rate: expected more than 0, found 0.0"),
        ("training", "joint_loss_weight", -1.0, "joint_loss_weight: expected 0 or more, found -1.0"),
        ("training", "precision_target", 1.0, "precision_target: expected between 0 and 1, found 1.0"),
    ],
)
def test_a_value_out_of_range_is_refused(group: str, name: str, value: object, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        settings_from_dict({group: {name: value}}, "test")
