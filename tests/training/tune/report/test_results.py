"""The results of a search: page, tables, logs and verdict."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import plugin_data_pb2

from model.settings import Settings
from training.tune.report.analysis import scored_trials
from training.tune.report.hparams_log import write_hparams
from training.tune.report.page import PageFacts, write_page
from training.tune.report.results import account, base_trial, verdict, write_trials_csv
from training.tune.report.trial_table import TrialTable, best_first, duration, time_left_s, trials_table
from training.tune.scheduling.scheduler_settings import OVER_BUDGET, SchedulerSettings
from training.tune.scheduling.trial import Attempt, SearchTrial
from training.tune.search import SearchJob, SearchResult
from training.tune.space.dimension import Dimension
from training.tune.space.space import Space
from training.tune.study import study_plot, study_points, study_table

NASTY = "</script><b>&\"'"


def made(number: int, score: float | None = None, **values: object) -> SearchTrial:
    trial = SearchTrial(number, str(number), {"tuner/epochs": 2, **values}, {"model": {}}, 2)
    trial.attempts = [Attempt("local-0", 1000.0, 1030.0, "completed")]
    if score is None:
        trial.status, trial.error = "failed", f"Traceback\nValueError: {NASTY}"
        return trial
    trial.status, trial.score = "completed", score
    trial.history = [{"epoch": epoch, "seconds": 10.0 * epoch, "joint_accuracy": score} for epoch in (1, 2)]
    trial.figures = {
        "joint_accuracy": score,
        "macro_f1": score,
        "latency_ms": 2.0 + number,
        "num_parameters": 1000 * (number + 1),
        "seconds": {"prepare": 3.0, "train": 20.0, "evaluate": 4.0},
    }
    return trial


def trials(count: int = 8) -> list[SearchTrial]:
    scored = [made(i, 0.5 + i / 100, fcl_dim=2**i, optimizer=("Adam", NASTY)[i % 2]) for i in range(count)]
    return [*scored, made(count, fcl_dim=1, optimizer="Adam")]


def facts() -> PageFacts:
    return PageFacts("Search", "joint_accuracy", ["Done."], {"Tuner": "grid"}, "0", frozenset({"fcl_dim"}))


def test_the_page_is_self_contained_and_holds_every_trial(tmp_path: Path) -> None:
    text = write_page(tmp_path, trials(), facts()).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [trial["id"] for trial in data["trials"]] == [str(i) for i in range(8)]
    assert {axis["name"]: (axis["isNumber"], axis["isLog"]) for axis in data["axes"]} == {
        "fcl_dim": (True, True),
        "optimizer": (False, False),
    }
    assert data["trials"][1]["values"]["optimizer"] == NASTY
    assert data["trials"][0]["fronts"] == ["latency_ms", "num_parameters"]
    assert len(data["curves"]) == 8
    assert text.count(NASTY) == 0  # always escaped
    assert "ValueError: &lt;/script&gt;" in text
    assert "0 (base)" in text
    assert text.count("<h3>") == 2


def test_a_page_without_a_score(tmp_path: Path) -> None:
    text = write_page(tmp_path, [made(0, fcl_dim=1)], facts()).read_text(encoding="utf-8")
    assert "Failed" in text
    assert "What matters" not in text


def test_a_page_of_few_trials_has_no_effects(tmp_path: Path) -> None:
    text = write_page(tmp_path, trials(3), facts()).read_text(encoding="utf-8")
    assert "With fewer than 6 scored trials" in text


def test_tensorboard_s_hparams_tab_has_the_same_trials(tmp_path: Path) -> None:
    (tmp_path / "tb" / "older").mkdir(parents=True)
    write_hparams(tmp_path / "tb", trials(3), "joint_accuracy")
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "tb"))
    events.Reload()
    assert sorted(events.Runs()) == [".", "trial-0", "trial-1", "trial-2", "trial-3"]
    found = events.PluginRunToTagToContent("hparams")
    experiment = plugin_data_pb2.HParamsPluginData.FromString(found["."]["_hparams_/experiment"]).experiment
    assert [info.name for info in experiment.hparam_infos] == ["fcl_dim", "optimizer"]
    start = plugin_data_pb2.HParamsPluginData.FromString(found["trial-1"]["_hparams_/session_start_info"])
    values = start.session_start_info.hparams
    assert values["fcl_dim"].number_value == 2
    assert values["optimizer"].string_value == NASTY
    run = events.GetAccumulator("trial-2")
    assert set(run.Tags()["tensors"]) >= {"joint_accuracy", "final/joint_accuracy"}


def test_the_table_for_a_spreadsheet(tmp_path: Path) -> None:
    write_trials_csv(tmp_path / "trials.csv", trials(2), "joint_accuracy")
    lines = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("trial,status,reason,score_joint_accuracy,epochs,attempts,joint_accuracy,macro_f1")
    assert lines[1].startswith("0,completed,,0.5,2,1,0.5,0.5,")
    assert len(lines) == 4


def test_the_shares_of_time() -> None:
    """Check two workers for 100 s: two trials of 27 s, an interrupted attempt of 10 s, a failure of 30 s."""
    found = [made(0, 0.5), made(1, 0.6), made(2)]
    found[0].attempts.insert(0, Attempt("local-1", 990.0, 1000.0, "lost"))
    shares = account(found, 100.0, 2)
    assert shares.training == pytest.approx(48 / 200)
    assert shares.preparing == pytest.approx(6 / 200)
    assert shares.lost == pytest.approx(40 / 200)
    assert shares.waiting == 0
    assert shares.overhead == pytest.approx(106 / 200)


def test_waiting_for_another_worker_is_not_overhead() -> None:
    """The first worker waits 5 s for the round's end and 20 s for the last trial; another one died meanwhile."""
    found = [made(i, 0.5) for i in range(4)]
    found[0].attempts = [Attempt("local-0", 1000.0, 1030.0, "completed")]
    found[1].attempts = [Attempt("local-1", 1000.0, 1035.0, "completed")]
    found[2].attempts = [Attempt("local-0", 1035.0, 1065.0, "completed")]
    found[3].attempts = [Attempt("local-1", 1035.0, 1050.0, "lost"), Attempt("local-2", 1055.0, 1085.0, "completed")]
    shares = account(found, 85.0, 2)
    assert shares.training == pytest.approx(96 / 170)
    assert shares.waiting == pytest.approx(25 / 170)
    assert shares.overhead == pytest.approx((170 - 96 - 12 - 15 - 25) / 170)


def test_the_live_table_and_the_lines_without_a_terminal() -> None:
    running = made(9, 0.5)
    running.status, running.score = "running", None
    console = Console(width=200, record=True, force_terminal=False)
    with TrialTable(console, "joint_accuracy", 10) as table:
        table.show([*trials(2), running], {"9": "local-0"}, 60.0)
        table.show([*trials(2), running], {"9": "local-0"}, 50.0)
    output = console.export_text()
    assert output.count("trial 0 completed, joint_accuracy 0.5000: fcl_dim 1, optimizer Adam") == 1
    assert "trial 2 failed: ValueError" in output
    console = Console(width=200, record=True)
    console.print(trials_table([running], "joint_accuracy", {"9": "local-0"}, now=1025.0))
    assert re.search(r"9\s+running\s+0.5000\s+2/2\s+0 s\s+local-0", console.export_text())


def test_time_left_by_eye() -> None:
    """Check a trial whose second of six epochs of 10 s ended 3 s ago: 37 s left."""
    trial = made(0, 0.5)
    trial.epochs = 6
    assert time_left_s(trial, now=1023.0) == pytest.approx(37.0)
    trial.history = []
    assert time_left_s(trial, now=1023.0) is None


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_best_first() -> None:
    assert [trial.trial_id for trial in best_first(trials(3))] == ["2", "1", "0"]
    assert len(scored_trials(trials(3))) == 3


def sizes(num_seeds: int) -> Space:
    choices = (Dimension("image_size", "image_size", "image", "choice", (64, 32, 16, 8)),)
    seeds = (Dimension("seed", "seed", "training", "choice", tuple(range(num_seeds))),)
    return Space(Settings(), choices + seeds * (num_seeds > 1), {})


def test_a_study_averages_over_seeds(tmp_path: Path) -> None:
    found = [made(i, 0.5 + i / 10, image_size=size, seed=i % 2) for i, size in enumerate((64, 64, 32, 32))]
    found += [made(4, image_size=16, seed=0)]
    points = study_points(found, "image-size", sizes(2))
    assert [(point.name, point.scores, point.num_failed) for point in points] == [
        ("64", (0.5, 0.6), 0),
        ("32", (0.7, 0.8), 0),
        ("16", (), 1),
        ("8", (), 0),
    ]
    assert [point.num_missing for point in points] == [0, 0, 1, 2]
    console = Console(width=200, record=True)
    console.print(study_table(points, "image-size", "joint_accuracy"))
    assert "0.5500 (0.5000 to 0.6000)" in console.export_text()
    assert study_plot(points, "image-size", "joint_accuracy").startswith(b"\x89PNG")


def cut_study(budget_s: float) -> tuple[SearchJob, SearchResult]:
    """Of 8 planned trials a whole one, two cut by the time budget and one that waits."""
    found = [made(i, 0.5 + i / 10, image_size=size, seed=i % 2) for i, size in enumerate((64, 64, 32, 32))]
    for trial in found[1:3]:
        trial.status, trial.reason = "stopped", OVER_BUDGET
    found[3].status, found[3].score, found[3].attempts, found[3].figures = "queued", None, [], {}
    here = Path()
    settings = SchedulerSettings(1_000_000, "joint_accuracy", budget_s)
    job = SearchJob(here, here, here, here, 2, {}, None, here, "grid", 1, "", "tensorflow", settings, Settings())
    return job, SearchResult(found, sizes(2), 90.0, "")


def test_trials_that_the_budget_cut_are_no_part_of_a_mean() -> None:
    job, result = cut_study(budget_s=60.0)
    points = study_points(result.trials, "image-size", result.space)
    assert [(point.name, point.scores, point.accuracy, point.num_cut, point.num_missing) for point in points] == [
        ("64", (0.5,), 0.5, 1, 0),
        ("32", (), None, 1, 1),
        ("16", (), None, 0, 2),
        ("8", (), None, 0, 2),
    ]
    console = Console(width=200, record=True)
    console.print(study_table(points, "image-size", "joint_accuracy"))
    table = console.export_text()
    assert re.search(r"64\s+│ 0.5000\s+│ 1 and 1 cut short ", table)
    assert re.search(r"8\s+│\s+│ 0 and 2 not begun ", table)
    lines = verdict(job, result, points)
    assert lines[1] == (
        "The time budget of 60 s was spent: 5 of 8 planned trials did not begin, 2 were cut short; the same command"
        " with more --budget-minutes begins the others."
    )
    assert lines[2] == (
        "Left out of the means and the plot: 64 (1 cut short), 32 (1 cut short, 1 not begun), 16 (2 not begun),"
        " 8 (2 not begun)."
    )


def test_a_search_within_its_budget_leaves_nothing_out() -> None:
    job, result = cut_study(budget_s=600.0)
    assert not any("budget" in line for line in verdict(job, result, []))


def test_the_base_settings_are_named_where_they_were_trained() -> None:
    space = sizes(1)
    found = [made(0, 0.5, image_size=64), made(1, 0.6, image_size=32)]
    for trial in found:
        trial.settings = space.settings_dict(trial.values)
    assert base_trial(found, space) is None
    found[1].settings = space.base_dict
    assert base_trial(found, space) is found[1]


def test_workers_elsewhere_are_not_counted_with_those_here() -> None:
    """A worker here trained for 27 of 30 s, one elsewhere as long."""
    found = [made(0, 0.5), made(1, 0.6)]
    found[1].attempts[0].worker = "far-away"
    shares = account(found, 30.0, 1)
    assert shares.training == pytest.approx(24 / 30)
    assert shares.preparing == pytest.approx(3 / 30)
    assert shares.overhead == pytest.approx(3 / 30)
