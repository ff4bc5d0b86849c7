"""Search spaces: ranges, conditions, variants and errors."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import SettingsError
from model.settings import ImageSettings, Settings, settings_from_dict
from training.tune.scheduling.oracles import build_oracle, default_values, hyperparameters
from training.tune.space.space import STUDIES, Space, load_space, ready_space

ALL_FIELDS = ("name", "mall_category", "brand", "maker", "image")


def load(tmp_path: Path, text: str, base: Settings | None = None, fields: tuple[str, ...] = ALL_FIELDS) -> Space:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return load_space(path, base or Settings(), fields)


def names(space: Space) -> list[str]:
    return [dimension.name for dimension in space.dimensions]


def test_every_kind_of_range(tmp_path: Path) -> None:
    text = """
    [model]
    hidden_dim = { int = [16, 64], step = 16 }
    fcl_dim = { log = [32, 512] }
    [fields]
    name_dropout_rate = { float = [0, 0.5] }
    [training]
    learning_rate = { log = [1e-4, 1e-2] }
    optimizer = { choice = ["SGD", "Adam"] }
    epochs = 3
    [tokenizer]
    character_orders = { choice = [[1, 2], [1, 2, 3]] }
    """
    space = load(tmp_path, text)
    found = hyperparameters(space)
    kinds = {one.name: type(one).__name__ for one in found.space}
    assert kinds == {
        "hidden_dim": "Int",
        "fcl_dim": "Int",
        "name_dropout_rate": "Float",
        "learning_rate": "Float",
        "optimizer": "Choice",
        "character_orders": "Choice",
    }
    values = default_values(found)
    # 128 is outside, 64 is nearest; the others are the defaults.
    assert values["hidden_dim"] == 64
    assert values["fcl_dim"] == 256
    assert values["optimizer"] == "Adam"
    assert values["character_orders"] == "[1, 2, 3]"
    settings = settings_from_dict(space.settings_dict({**values, "tuner/epochs": 1}), "x")
    assert settings.training.epochs == 3
    assert settings.tokenizer.character_orders == (1, 2, 3)
    assert json.loads(json.dumps(space.to_dict())) == space.to_dict()


def test_ranges_of_fields_that_the_catalog_lacks_are_left_out(tmp_path: Path) -> None:
    everything = load_space(ready_space("default"), Settings(), ALL_FIELDS)
    text = load_space(ready_space("default"), Settings(), ("name",))
    assert set(names(everything)) - set(names(text)) == {
        "backbone",
        "image_size",
        "image_dropout_rate",
        "mall_category_dropout_rate",
    }
    assert {name for dimension in everything.dimensions for name in dimension.when} == {"optimizer"}


def test_backbones_are_compared_frozen_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    tuned = replace(Settings(), image=ImageSettings(finetune_layers=65))
    backbones = '[image]\nbackbone = { choice = ["MobileNetV2", "ResNet50"] }\n'
    assert load(tmp_path, backbones, tuned).base.image.finetune_layers == 0
    assert load(tmp_path, f"{backbones}finetune_layers = 9\n", tuned).base.image.finetune_layers == 9
    assert load(tmp_path, f"{backbones}finetune_layers = {{ choice = [0, 9] }}\n", tuned).dimensions
    from_file = replace(tuned, image=replace(tuned.image, image_weights="own.weights.h5"))
    sizes = "image_size = { choice = [96, 224] }\n"
    assert load(tmp_path, backbones + sizes, from_file).base.image.finetune_layers == 65


def test_a_file_of_weights_fits_one_backbone() -> None:
    base = Settings(image=ImageSettings(image_weights="weights.h5"))
    found = names(load_space(ready_space("default"), base, ALL_FIELDS))
    assert "backbone" not in found
    assert "image_size" in found


def test_picture_settings_are_active_only_where_pictures_are_read(tmp_path: Path) -> None:
    text = """
    [model]
    fields = { choice = [["name"], ["name", "image"]] }
    [fields]
    image_dropout_rate = { choice = [0.1, 0.2] }
    [image]
    image_size = { choice = [32, 64] }
    """
    found = hyperparameters(load(tmp_path, text))
    found.values["fields"] = '["name"]'
    assert not found.is_active("image_size")
    assert not found.is_active("image_dropout_rate")
    found.values["fields"] = '["name", "image"]'
    assert found.is_active("image_size")


def test_a_condition_of_the_file(tmp_path: Path) -> None:
    text = """
    [training]
    optimizer = { choice = ["Adam", "SGD"] }
    label_smoothing = { choice = [0.0, 0.1], when = { optimizer = ["SGD"] } }
    """
    found = hyperparameters(load(tmp_path, text))
    assert default_values(found) == {"optimizer": "Adam"}
    found.values["optimizer"] = "SGD"
    assert found.is_active("label_smoothing")


def test_a_range_for_each_case(tmp_path: Path) -> None:
    text = """
    [training]
    optimizer = { choice = ["Adam", "SGD"] }
    learning_rate = [
      { log = [1e-4, 1e-2], when = { optimizer = ["Adam"] } },
      { log = [0.1, 1.0], when = { optimizer = ["SGD"] } },
    ]
    """
    space = load(tmp_path, text)
    oracle = build_oracle("random", space, "joint_accuracy", 40, 0, 1)
    seen = set()
    for i in range(40):
        values = oracle.create_trial(str(i)).hyperparameters.values
        optimizer = values["optimizer"]
        assert values.keys() == {"optimizer", f"learning_rate ({optimizer})"}
        low, high = {"Adam": (1e-4, 1e-2), "SGD": (0.1, 1.0)}[optimizer]
        rate = space.settings_dict(values)["training"]["learning_rate"]
        assert low <= rate <= high
        seen.add(optimizer)
    assert seen == {"Adam", "SGD"}


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_valid_points(study: str) -> None:
    space = load_space(ready_space(study), Settings(), ALL_FIELDS)
    chooser = space.dimensions[0]
    for value in chooser.values:
        settings_from_dict(space.settings_dict({chooser.name: value}), study)
    assert space.num_points == len(chooser.values)


def test_the_fields_study_leaves_out_what_the_catalog_lacks() -> None:
    space = load_space(ready_space("fields"), Settings(), ("name", "mall_category"))
    assert list(space.variants) == ["name", "mall category", "name + mall category"]
    assert space.settings_dict({"variant": "name"})["model"]["fields"] == ["name"]


def test_seeds_are_one_more_dimension() -> None:
    space = load_space(ready_space("image-size"), replace(Settings()), ALL_FIELDS, num_seeds=3)
    assert names(space) == ["image_size", "seed"]
    assert space.num_points == 18
    assert space.settings_dict({"image_size": 60, "seed": 2})["training"]["seed"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhiden_dim = { choice = [1] }", r"space.toml: \[model\]: unknown setting 'hiden_dim'; did you mean"),
        ("[modell]\nx = { choice = [1] }", r"space.toml: unknown table \[modell\].* did you mean 'model'"),
        ("[model]\nhidden = 3", r"space.toml: \[model\]: unknown setting 'hidden'"),
        ("[model]\nhidden_dim = { choise = [1] }", r"\[model\] hidden_dim: .* found 'choise'; did you mean 'choice'"),
        ("[model]\nhidden_dim = { choice = [] }", r"expected choice = \[one or more values\], found \[\]"),
        ("[model]\nhidden_dim = { choice = [8, 8] }", "expected each choice once"),
        ('[model]\nhidden_dim = { choice = [8, "a"] }', "expected choices of one type"),
        ("[model]\nhidden_dim = { choice = [0, 8] }", r"\[model\] hidden_dim: expected 1 or more, found 0"),
        ("[model]\nhidden_dim = { float = [1, 8] }", r"hidden_dim: expected int, found 1.0"),
        ("[model]\nhidden_dim = { int = [8, 1] }", r"expected int = \[low, high\], found \[8, 1\]"),
        ("[model]\nhidden_dim = { int = [1.5, 8] }", "expected whole numbers"),
        ("[model]\nhidden_dim = { int = [1, 8], step = 0 }", "expected a step above 0"),
        ("[model]\nhidden_dim = { step = 1 }", "expected one of choice, int, float, log, found none"),
        ("[model]\nhidden_dim = { int = [1, 2], log = [1, 2] }", "expected one of .*, found int, log"),
        ("[training]\nlearning_rate = { log = [0, 1] }", r"expected log = \[low, high\] above 0"),
        ('[training]\nbackend = { choice = ["jax"] }', "backend cannot be searched: a worker trains on one backend"),
        (
            "[model]\nfcl_dim = { choice = [8], when = { x = [1] } }",
            "fcl_dim depends on 'x', which is no hyperparameter",
        ),
        ("[model]\nfcl_dim = { choice = [8], when = 3 }", r"expected when = \{ other = \[values\] \}, found 3"),
        (
            "[model]\nfcl_dim = { choice = [8] }\nngram_dim = { choice = [8], when = { fcl_dim = [9] } }",
            r"depends on fcl_dim = \[9\]; expected choices of fcl_dim, found \[8\]",
        ),
        ("[model]\nfcl_dim = [{ choice = [8] }, { choice = [9] }]", r"with a when = \{ ... \} of its own each"),
        ("[model]\nfcl_dim = 8", "leaves nothing to choose for a catalog with name"),
        ("[image]\nimage_size = { choice = [8] }", "leaves nothing to choose"),
        ("variants = 3", r"expected tables \[variants"),
        ("[variants.a]\nmodel = { hiden_dim = 3 }", "variants: .*unknown setting 'hiden_dim'"),
        ("model = 3", "'model' has to be a table of settings, found 3"),
        ("[model", "is not TOML"),
    ],
)
def test_a_wrong_space_stops_the_run(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text, fields=("name",))


def test_a_missing_space_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"space file .*none.toml cannot be read: No such file"):
        load_space(tmp_path / "none.toml", Settings(), ("name",))
