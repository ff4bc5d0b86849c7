"""One trial in a worker, with real small trainings."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from model.errors import SettingsError
from model.settings import Settings, settings_to_dict
from tests.conftest import TOY_SETTINGS, toy_rows, write_catalog
from tests.training.conftest import Runs
from training.preparation import Preparation, read_catalogs
from training.tune.scheduling.trial_message import TrialSpec
from training.tune.workers.trial_training import TrialDropped, TrialTraining

TEXT = replace(
    TOY_SETTINGS,
    model=replace(TOY_SETTINGS.model, fields=("brand",)),  # the quickest network to build
    training=replace(TOY_SETTINGS.training, epochs=3, batch_size=48, learning_rate=0.05),
)


class Chief:
    """A chief that records reports and answers as the test sets."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, dict[str, float]]] = []
        self.answers: dict[int, str] = {}
        self.status = "RUNNING"

    def report(self, figures: Mapping[str, float], epoch: int) -> str:
        self.reports.append((epoch, dict(figures)))
        return self.answers.get(epoch, "RUNNING")


@pytest.fixture
def chief() -> Chief:
    return Chief()


@pytest.fixture
def preparation(toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path) -> Preparation:
    return Preparation(read_catalogs(*toy_catalogs, ReadOptions(), None, toy_cache), tmp_path / "work", toy_cache)


def training(
    preparation: Preparation, chief: Chief, tmp_path: Path, objective: str = "joint_accuracy"
) -> TrialTraining:
    return TrialTraining(preparation, tmp_path / "states", objective, chief.report, lambda: chief.status)


def order(settings: Settings, epochs: int = 1, trial_id: str = "0", **changes: object) -> TrialSpec:
    plain = json.loads(json.dumps(settings_to_dict(settings)))
    return TrialSpec(
        **{"settings": plain, "epochs": epochs, "trial_id": trial_id, "parent": "", "keeps_state": False, **changes}
    )


def test_a_later_round_of_hyperband_continues_the_earlier_one(
    preparation: Preparation, chief: Chief, tmp_path: Path
) -> None:
    worker = training(preparation, chief, tmp_path)
    whole = worker.run(order(TEXT, epochs=2))
    expected = [figures for _, figures in chief.reports]
    chief.reports.clear()
    first = worker.run(order(TEXT, epochs=1, trial_id="1", keeps_state=True))
    assert (tmp_path / "states" / "1").exists()
    second = worker.run(order(TEXT, epochs=2, trial_id="2", parent="1"))
    assert [epoch for epoch, _ in chief.reports] == [1, 2]
    assert [figures for _, figures in chief.reports] == expected
    assert second.score == whole.score
    assert first.error == second.error == ""
    assert not (tmp_path / "states" / "1").exists()  # no other trial continues it
    again = worker.run(order(TEXT, epochs=2, trial_id="3", parent="1"))  # its state is gone, so it starts over
    assert again.score == whole.score


def test_the_chief_ends_a_trial_early(preparation: Preparation, chief: Chief, tmp_path: Path) -> None:
    chief.answers = {2: "STOPPED"}
    found = training(preparation, chief, tmp_path).run(order(TEXT, epochs=3))
    assert [epoch for epoch, _ in chief.reports] == [1, 2]
    assert found.score == found.figures["joint_accuracy"]
    chief.status = "FAILED"
    with pytest.raises(TrialDropped):
        training(preparation, chief, tmp_path).run(order(TEXT, epochs=3))
    assert len(chief.reports) == 2


def test_another_objective_is_measured_after_each_epoch(preparation: Preparation, chief: Chief, tmp_path: Path) -> None:
    found = training(preparation, chief, tmp_path, "macro_f1").run(order(TEXT, epochs=2))
    by_accuracy, chief.reports = chief.reports, []
    plain = training(preparation, chief, tmp_path).run(order(TEXT, epochs=2))
    assert plain.figures["macro_f1"] == found.score
    assert [row["loss"] for _, row in by_accuracy] == [row["loss"] for _, row in chief.reports]
    assert all({"joint_accuracy", "macro_f1", "coverage@0.98"} <= row.keys() for _, row in by_accuracy)
    for (_, measured), (_, known) in zip(by_accuracy, chief.reports, strict=True):
        assert measured["joint_accuracy"] == pytest.approx(known["joint_accuracy"], abs=1e-6)


def test_nothing_is_tokenised_or_embedded_twice(
    toy_catalogs: tuple[Path, Path], chief: Chief, tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.encoding import tokenizer_cache

    fits: list[int] = []
    fit_tokenizer = tokenizer_cache.fit_tokenizer
    monkeypatch.setattr(tokenizer_cache, "fit_tokenizer", lambda *args: fits.append(1) or fit_tokenizer(*args))
    settings = replace(
        TOY_SETTINGS,
        model=replace(TOY_SETTINGS.model, fields=("brand", "image")),
        training=replace(TOY_SETTINGS.training, epochs=1, batch_size=48),
    )
    preparation = Preparation(
        read_catalogs(*toy_catalogs, ReadOptions(), None, tmp_path / "cache"), tmp_path / "work", tmp_path / "cache"
    )
    worker = training(preparation, chief, tmp_path)
    found = worker.run(order(settings))
    assert sum(runs.rows) >= 100  # 67 and 33 rows have a picture; the rest measures speed
    assert {"images_per_s", "latency_ms", "num_parameters"} <= found.figures.keys()
    measured = len(runs.rows)
    worker.run(order(replace(settings, model=replace(settings.model, fcl_dim=8)), trial_id="1"))
    assert len(runs.rows) - measured <= 7  # speed only
    assert len(fits) == 1
    other = Preparation(
        read_catalogs(*toy_catalogs, ReadOptions(), None, tmp_path / "cache"), tmp_path / "work", tmp_path / "cache"
    )  # another worker
    measured = len(runs.rows)
    training(other, chief, tmp_path).run(order(settings, trial_id="2"))
    assert len(runs.rows) - measured <= 7
    assert len(fits) == 1


def test_fields_that_the_catalog_lacks(tmp_path: Path, chief: Chief) -> None:
    columns = ("product_id", "product_name", "category")
    names = [{column: row[column] for column in columns} for row in toy_rows(tmp_path, "n", 12)]
    train, val = write_catalog(tmp_path / "train.csv", names[:9]), write_catalog(tmp_path / "val.csv", names[9:])
    preparation = Preparation(read_catalogs(train, val, ReadOptions(), None, tmp_path), tmp_path / "work", tmp_path)
    settings = replace(TEXT, model=replace(TEXT.model, fields=("name", "image")))
    with pytest.raises(SettingsError, match=r"fields: expected fields that the catalog has \(name\), found image"):
        training(preparation, chief, tmp_path).run(order(settings))


def test_a_combination_that_is_not_valid_fails(preparation: Preparation, chief: Chief, tmp_path: Path) -> None:
    wrong = order(TEXT)
    wrong.settings["tokenizer"]["hash_buckets"] = 1000
    with pytest.raises(SettingsError, match="hash_buckets: expected a power of two, found 1000"):
        training(preparation, chief, tmp_path).run(wrong)
