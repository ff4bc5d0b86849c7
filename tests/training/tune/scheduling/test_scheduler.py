"""The scheduler: assigning trials, leases, failures and resuming."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial

from tests.training.tune.conftest import BASE, Clock
from training.tune.report.results import account, base_trial
from training.tune.scheduling.oracles import Tuner
from training.tune.scheduling.scheduler import Scheduler
from training.tune.scheduling.trial_message import Outcome, pack, unpack_spec
from training.tune.space.space import Space

OpenScheduler = Callable[..., Scheduler]


def end(scheduler: Scheduler, lease: Trial, score: float = 0.5, status: str = "COMPLETED", error: str = "") -> None:
    outcome = Outcome(score=None if error else score, error=error, figures={"joint_accuracy": score})
    scheduler.end_trial(Trial(pack(outcome), trial_id=lease.trial_id, status=status))


def run(scheduler: Scheduler, worker: str = "w", score: float = 0.5) -> str:
    """Run one trial to its end; return the status when none was assigned."""
    lease = scheduler.create_trial(worker)
    if lease.status != "RUNNING":
        return str(lease.status)
    scheduler.update_trial(lease.trial_id, {"joint_accuracy": score, "loss": 1.0}, 1)
    end(scheduler, lease, score)
    return "ended"


def statuses(scheduler: Scheduler) -> list[str]:
    return [trial.status for trial in scheduler.snapshot()]


def test_a_search_begins_with_the_base_settings_and_ends_after_its_trials(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    first = unpack_spec(scheduler.create_trial("w"))
    assert first.settings == json.loads(json.dumps(scheduler.space.to_dict()["base"]))
    assert first.epochs == BASE.training.epochs
    end(scheduler, scheduler.create_trial("w"), 0.25)
    assert [run(scheduler) for _ in range(5)] == ["ended"] * 4 + ["STOPPED"]
    assert scheduler.is_done
    trials = scheduler.snapshot()
    assert [trial.status for trial in trials] == ["completed"] * 5
    assert [trial.score for trial in trials] == [0.25, 0.5, 0.5, 0.5, 0.5]
    assert len({json.dumps(trial.values) for trial in trials}) == 5


def test_a_worker_that_requests_again_gets_the_same_trial(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    first = scheduler.create_trial("w")
    assert scheduler.create_trial("w").trial_id == first.trial_id
    assert scheduler.create_trial("other").trial_id != first.trial_id
    assert len(scheduler.snapshot()) == 2


def test_a_result_reported_twice_counts_once(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    lease = scheduler.create_trial("w")
    end(scheduler, lease, 0.5)
    end(scheduler, lease, 0.75)
    end(scheduler, lease, status="FAILED", error="late")
    trial = scheduler.snapshot()[0]
    assert (trial.status, trial.score, trial.error) == ("completed", 0.5, "")
    assert scheduler.update_trial(lease.trial_id, {}, 0).status == "FAILED"  # no state to continue


def test_an_expired_lease_goes_to_the_next_worker(open_scheduler: OpenScheduler, clock: Clock) -> None:
    scheduler = open_scheduler(lease_s=60.0)
    lease = scheduler.create_trial("silent")
    clock.now += 59
    assert scheduler.update_trial(lease.trial_id, {}, 0).status == "RUNNING"  # a heartbeat
    clock.now += 59
    scheduler.expire()
    assert scheduler.running == {"0": "silent"}
    clock.now += 2
    scheduler.expire()
    assert scheduler.running == {}
    again = scheduler.create_trial("other")
    assert (lease.trial_id, again.trial_id) == ("0.1", "0.2")
    assert scheduler.update_trial(lease.trial_id, {"joint_accuracy": 0.9}, 1).status == "FAILED"
    end(scheduler, again)
    trial = scheduler.snapshot()[0]
    assert [(attempt.worker, attempt.outcome) for attempt in trial.attempts] == [
        ("silent", "lost"),
        ("other", "completed"),
    ]
    assert trial.losses == 1


def test_a_worker_that_reconnects_in_time_continues(open_scheduler: OpenScheduler, clock: Clock) -> None:
    """Its connection was cut for longer than the lease, but no other worker has its trial yet."""
    scheduler = open_scheduler()
    lease = scheduler.create_trial("w")
    clock.now += 100
    scheduler.expire()
    assert statuses(scheduler) == ["queued"]
    assert scheduler.update_trial(lease.trial_id, {"joint_accuracy": 0.5, "loss": 1.0}, 1).status == "RUNNING"
    assert statuses(scheduler) == ["running"]
    end(scheduler, lease)
    assert statuses(scheduler) == ["completed"]
    assert len(scheduler.snapshot()[0].attempts) == 1


def test_a_result_counts_although_another_worker_has_begun(open_scheduler: OpenScheduler, clock: Clock) -> None:
    scheduler = open_scheduler()
    first = scheduler.create_trial("slow")
    clock.now += 100
    scheduler.expire()
    second = scheduler.create_trial("quick")
    assert second.trial_id == "0.2"
    end(scheduler, first, 0.75)
    assert scheduler.snapshot()[0].score == 0.75
    assert scheduler.update_trial(second.trial_id, {}, 0).status == "FAILED"
    assert scheduler.running == {}


def test_a_trial_that_kills_its_workers_fails(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler(max_losses=3)
    for i in range(3):
        assert scheduler.create_trial(f"w{i}").trial_id == f"0.{i + 1}"
        scheduler.worker_lost(f"w{i}", f"signal {i}")
    trial = scheduler.snapshot()[0]
    assert trial.status == "failed"
    assert trial.error == "its worker was lost 3 times, the last time: signal 2"
    scheduler.create_trial("w3")
    scheduler.worker_lost("w3", "the kernel took its memory", is_final=True)
    assert scheduler.snapshot()[1].error == "the kernel took its memory"


def test_three_failures_in_a_row_stop_the_search_with_the_error(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler(num_trials=9)
    for error in ("a", "b"):
        end(scheduler, scheduler.create_trial("w"), status="FAILED", error=error)
    run(scheduler)
    for error in ("c", "d", "Traceback\nValueError: e"):
        assert not scheduler.failure
        lease = scheduler.create_trial("w")
        end(scheduler, lease, status="FAILED", error=error)
    assert scheduler.failure == "3 failed in a row, the last trial with:\nTraceback\nValueError: e"
    assert scheduler.create_trial("w").status == "STOPPED"
    assert [trial.error for trial in scheduler.snapshot() if trial.error][:2] == ["a", "b"]
    again = open_scheduler(num_trials=9)  # the same command, after the cause was fixed
    assert run(again) == "ended"


def test_running_trials_are_stopped_when_the_budget_is_spent(open_scheduler: OpenScheduler, clock: Clock) -> None:
    scheduler = open_scheduler(budget_s=60.0)
    lease = scheduler.create_trial("w")
    clock.now += 61
    assert scheduler.create_trial("other").status == "IDLE"  # the running one could still be requeued
    assert scheduler.update_trial(lease.trial_id, {}, 0).status == "STOPPED"
    end(scheduler, lease)
    trial = scheduler.snapshot()[0]
    assert (trial.status, trial.reason, trial.score) == ("stopped", "the time budget was spent", 0.5)
    assert scheduler.create_trial("w").status == "STOPPED"
    scheduler.time.save()
    assert open_scheduler(budget_s=60.0).is_done
    assert not open_scheduler(budget_s=120.0).is_done


def test_a_trial_below_the_median_ends_early(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler(num_trials=9)
    for score in (0.5, 0.6, 0.7, 0.8):
        lease = scheduler.create_trial("w")
        for epoch in (1, 2, 3):
            assert scheduler.update_trial(lease.trial_id, {"joint_accuracy": score}, epoch).status == "RUNNING"
        end(scheduler, lease, score)
    for score, answer, status in ((0.64, "STOPPED", "stopped"), (0.65, "RUNNING", "completed")):
        lease = scheduler.create_trial("w")
        assert scheduler.update_trial(lease.trial_id, {"joint_accuracy": score}, 1).status == "RUNNING"
        assert scheduler.update_trial(lease.trial_id, {"joint_accuracy": score}, 2).status == answer
        end(scheduler, lease, score)
        assert scheduler.snapshot()[-1].status == status
    assert scheduler.snapshot()[4].reason == "below the median of the others"


def test_a_restarted_chief_remembers_stopped_trials(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler(num_trials=9)
    for score in (0.5, 0.6, 0.7, 0.8):
        lease = scheduler.create_trial("far-away")
        for epoch in (1, 2):
            scheduler.update_trial(lease.trial_id, {"joint_accuracy": score}, epoch)
        end(scheduler, lease, score)
    lease = scheduler.create_trial("far-away")
    for epoch in (1, 2):
        scheduler.update_trial(lease.trial_id, {"joint_accuracy": 0.1}, epoch)
    assert open_scheduler(num_trials=9).update_trial(lease.trial_id, {}, 0).status == "STOPPED"


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian", "grid"])
def test_an_interrupted_search_chooses_as_it_would_have(open_scheduler: OpenScheduler, tmp_path, tuner: Tuner) -> None:
    """Reopen the search after every single step, as after a kill."""

    def score(trial: Trial) -> float:
        settings = unpack_spec(trial).settings
        return 0.9 - abs(settings["fields"]["name_dropout_rate"] - 0.3) - settings["training"]["learning_rate"]

    whole, steps = open_scheduler(tuner, num_trials=12), 0
    while (lease := whole.create_trial("w")).status == "RUNNING":
        end(whole, lease, score(lease))
        steps += 1
    assert steps == 12
    expected = [(trial.trial_id, trial.values, trial.score) for trial in whole.snapshot()]
    (tmp_path / "search").rename(tmp_path / "whole")
    for _ in range(steps):
        open_scheduler(tuner, num_trials=12).create_trial("local-0")  # killed while it runs
        scheduler = open_scheduler(tuner, num_trials=12)
        lease = scheduler.create_trial("local-0")
        assert lease.trial_id.endswith(".2")
        end(scheduler, lease, score(lease))
    scheduler = open_scheduler(tuner, num_trials=12)
    assert scheduler.is_done
    assert [(trial.trial_id, trial.values, trial.score) for trial in scheduler.snapshot()] == expected
    assert {trial.attempts[0].outcome for trial in scheduler.snapshot()} == {"interrupted"}


def test_the_time_between_a_kill_and_the_next_run_is_nobody_s(
    open_scheduler: OpenScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial begins at 1000 s, its chief is last seen at 1030 s, and the search goes on at 5000 s."""
    monkeypatch.setattr("time.time", lambda: 900.0 + clock.now)
    scheduler = open_scheduler()
    lease = scheduler.create_trial("local-0")
    clock.now += 30
    scheduler.time.save()
    clock.now += 3970
    again = open_scheduler()
    attempt = again.snapshot()[0].attempts[0]
    assert (attempt.started_at, attempt.ended_at, attempt.outcome) == (1000.0, 1030.0, "interrupted")
    assert again.time.used_s == 30.0
    lease = again.create_trial("local-0")
    clock.now += 50
    end(again, lease)
    found = again.snapshot()
    found[0].figures["seconds"] = {"prepare": 5.0, "train": 40.0, "evaluate": 5.0}
    assert account(found, again.time.used_s, 1).lost == pytest.approx(30 / 80)


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_the_base_settings_are_trained_though_they_are_no_point_of_the_space(
    open_scheduler: OpenScheduler, space: Space, tuner: Tuner
) -> None:
    """A choice without the base's value, a range that ends below it, and with Hyperband the rounds that follow."""
    base = replace(BASE, model=replace(BASE.model, fcl_dim=64), fields=replace(BASE.fields, name_dropout_rate=0.9))
    outside = replace(space, base=base)
    settings = {"num_trials": 12, "median_rule": False, "begins_with_base": True}
    scheduler = open_scheduler(tuner, space=outside, **settings)
    first = scheduler.create_trial("w")
    assert unpack_spec(first).settings == outside.base_dict
    end(scheduler, first, 0.9)
    scheduler = open_scheduler(tuner, space=outside, **settings)  # as after a kill
    while (lease := scheduler.create_trial("w")).status == "RUNNING":
        end(scheduler, lease, 0.1)
    trials = scheduler.snapshot()
    assert (trials[0].hyperparameters["fcl_dim"], trials[0].hyperparameters["name_dropout_rate"]) == (64, 0.9)
    assert {trial.settings["model"]["fcl_dim"] for trial in trials[1:] if not trial.parent} <= {8, 16, 32}
    continued = [trial for trial in trials if trial.parent == trials[0].trial_id]
    assert len(continued) == (tuner == "hyperband")
    for trial in continued:
        assert trial.settings == outside.base_dict
        assert trial.hyperparameters == trials[0].hyperparameters
        assert base_trial(trials, outside) in continued


@pytest.mark.parametrize("tuner", ["random", "grid"])
def test_any_number_of_workers_have_trials_at_the_same_time(open_scheduler: OpenScheduler, tuner: Tuner) -> None:
    scheduler = open_scheduler(tuner, num_trials=6)
    leases = [scheduler.create_trial(f"worker-{i}") for i in range(4)]
    assert [lease.status for lease in leases] == ["RUNNING"] * 4
    end(scheduler, leases[3])
    end(scheduler, leases[0])
    leases += [scheduler.create_trial("worker-3"), scheduler.create_trial("worker-0")]
    for lease in (*leases[1:3], *leases[4:]):
        end(scheduler, lease)
    trials = scheduler.snapshot()
    assert len({json.dumps(trial.values) for trial in trials}) == len(trials) == 6
    assert scheduler.is_done


def test_a_remote_worker_outlives_the_chief(open_scheduler: OpenScheduler) -> None:
    lease = open_scheduler().create_trial("far-away")
    scheduler = open_scheduler()  # the chief was killed and restarted
    assert scheduler.running == {"0": "far-away"}
    assert scheduler.update_trial(lease.trial_id, {}, 0).status == "RUNNING"
    end(scheduler, lease)
    assert statuses(scheduler) == ["completed"]


def test_hyperband_continues_the_best(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler("hyperband", num_trials=30, median_rule=False)
    orders = {}
    for i in range(30):
        lease = scheduler.create_trial("w")
        orders[f"{i:04d}"] = unpack_spec(lease)
        end(scheduler, lease, i / 30)
    later = [trial for trial in scheduler.snapshot() if trial.parent]
    assert later
    for trial in later:
        parent = scheduler.trials[trial.parent]
        assert trial.epochs > parent.epochs
        assert trial.settings == parent.settings  # otherwise its state would not match
        assert orders[trial.trial_id].parent == parent.trial_id
        assert orders[parent.trial_id].keeps_state


def test_more_trials_extend_a_finished_search(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler(num_trials=3)
    assert [run(scheduler) for _ in range(4)][-1] == "STOPPED"
    scheduler = open_scheduler(num_trials=11)
    assert [run(scheduler) for _ in range(9)] == ["ended"] * 8 + ["STOPPED"]
    assert len({trial.trial_id for trial in scheduler.snapshot()}) == 11


def test_an_unknown_lease(open_scheduler: OpenScheduler) -> None:
    scheduler = open_scheduler()
    assert scheduler.update_trial("77.1", {}, 0).status == "FAILED"
    with pytest.raises(KeyError):
        scheduler.end_trial(Trial(pack(Outcome()), trial_id="77.1", status="COMPLETED"))
    assert isinstance(scheduler.get_space(), HyperParameters)
