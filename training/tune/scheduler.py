"""Hands trials to workers and takes their results; what keras-tuner's service asks in place of its oracle.

An attempt at a trial is a lease. Its worker renews it with every word it says; one that falls silent, or is seen to
die, loses it, and the trial goes to the next worker that asks. All that is decided is written to the record before
it is answered, so that a kill at any moment costs at most the attempts that were running.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_tuner import Oracle
from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial, TrialStatus

from training.tune.median_rule import falls_behind
from training.tune.oracles import oracle_state, restore_oracle
from training.tune.record import Record
from training.tune.scheduler_settings import BELOW_MEDIAN, LOCAL, OVER_BUDGET, SEARCH_STOPPED, SchedulerSettings
from training.tune.search_time import SearchTime
from training.tune.space import Space
from training.tune.trial import SCORED, Attempt, SearchTrial, trial_id_of
from training.tune.trial_message import Job, Order, Outcome, pack, unpack_outcome

_log = logging.getLogger("aisle.tune")


@dataclass
class _Lease:
    trial: SearchTrial
    worker: str
    seen_at: float
    is_to_stop: bool = False


class Scheduler:
    """See above. Thread-safe; `oracle` is fresh, its state is taken from the record where there is one."""

    def __init__(
        self,
        record: Record,
        oracle: Oracle,
        space: Space,
        job: Job,
        settings: SchedulerSettings,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.record, self.space, self.job, self.settings = record, space, job, settings
        self.trials = {trial.trial_id: trial for trial in record.trials()}
        self.time = SearchTime(record, settings.budget_s, clock)
        self.failure = ""  # why the search was stopped, "" while it was not
        self._oracle = oracle
        self._clock = clock
        self._num_consecutive_failures = 0
        self._is_exhausted = False
        self._leases: dict[str, _Lease] = {}
        self._lock = threading.RLock()  # over all of the above
        self._oracle_lock = threading.Lock()  # taken first; choosing may take seconds, in which others still report
        self._restore()

    # What keras-tuner's service calls.

    def get_space(self) -> HyperParameters:
        """What all trials share."""
        return pack(self.job)

    def create_trial(self, worker: str) -> Trial:
        """A trial for a worker, IDLE when there is none just now, STOPPED when there will be none.

        A worker that asks again, for instance because the answer was lost, gets the trial it has.
        """
        with self._lock:
            held = next((lease for lease in self._leases.values() if lease.worker == worker), None)
            if held is not None:
                held.seen_at = self._clock()
                return self._message(held.trial)
            trial = self._queued() if self._may_begin else None
        if trial is None and self._may_choose():
            with self._oracle_lock:
                if self._may_choose():
                    self._choose()
        with self._lock:
            trial = self._queued() if self._may_begin else None
            if trial is not None:
                self._lend(trial, worker)
                return self._message(trial)
            status = TrialStatus.STOPPED if self.is_done else TrialStatus.IDLE
            return Trial(HyperParameters(), trial_id="", status=status)

    def update_trial(self, lease_id: str, metrics: Mapping[str, float], step: int) -> Trial:
        """An epoch's figures, or with none of them a sign of life.

        Returns:
            a trial whose status says whether to go on: RUNNING, STOPPED (end with what there is) or FAILED (drop
            it: another worker has it, or it has ended).
        """
        with self._lock:
            lease = self._lease(lease_id)
            if lease is None:
                return Trial(HyperParameters(), trial_id=lease_id, status=TrialStatus.FAILED)
            lease.seen_at = self._clock()
            if metrics:
                self._note_epoch(lease, metrics, step)
            if not self._may_begin and not lease.is_to_stop:
                lease.is_to_stop, lease.trial.reason = True, SEARCH_STOPPED if self.failure else OVER_BUDGET
            status = TrialStatus.STOPPED if lease.is_to_stop else TrialStatus.RUNNING
            return Trial(HyperParameters(), trial_id=lease_id, status=status)

    def end_trial(self, ended: Trial) -> None:
        """A worker's last word on its attempt: COMPLETED, FAILED, or INVALID when it gives the trial back."""
        outcome = unpack_outcome(ended)
        with self._oracle_lock, self._lock:
            lease = self._lease(ended.trial_id)
            trial = self.trials[trial_id_of(ended.trial_id)]
            if trial.has_ended or (lease is None and ended.status != TrialStatus.COMPLETED):
                return  # told twice, or by a worker whose trial another one has
            if ended.status == TrialStatus.INVALID:
                self._give_back(trial, "given back")
            elif ended.status == TrialStatus.COMPLETED:
                self._end(trial, outcome)
            else:
                self._fail(trial, outcome.error)

    # What the search calls.

    def worker_lost(self, worker: str, why: str, is_final: bool = False) -> None:
        """A worker has died.

        Args:
            why: for the trial's record.
            is_final: the trial it had counts as failed, because it would die again.
        """
        with self._oracle_lock, self._lock:
            for lease in [lease for lease in self._leases.values() if lease.worker == worker]:
                self._lose(lease, why, is_final)

    def expire(self) -> None:
        """Take the trials from workers that have been silent for too long."""
        with self._oracle_lock, self._lock:
            for lease in list(self._leases.values()):
                silent_s = self._clock() - lease.seen_at
                if silent_s > self.settings.lease_s:
                    self._lose(lease, f"nothing was heard of its worker for {silent_s:.0f} s", is_final=False)

    def stop(self, why: str) -> None:
        """End the search: no trial begins, those that run end at once."""
        with self._lock:
            self.failure = self.failure or why

    @property
    def is_done(self) -> bool:
        """Whether no worker has anything to do now or later."""
        with self._lock:
            if self._leases:
                return False
            if not self._may_begin:
                return True
            return self._queued() is None and (self._is_exhausted or len(self.trials) >= self.settings.num_trials)

    @property
    def running(self) -> dict[str, str]:
        """{trial_id: worker} of the attempts that run."""
        with self._lock:
            return {lease.trial.trial_id: lease.worker for lease in self._leases.values()}

    def snapshot(self) -> list[SearchTrial]:
        """All trials, not to be changed by whoever looks at them."""
        with self._lock:
            return [SearchTrial.from_dict(trial.to_dict()) for trial in self.trials.values()]

    # How it is done; the lock is held in all of these.

    def _restore(self) -> None:
        state = self.record.fact("oracle")
        if state is not None:
            restore_oracle(self._oracle, state["oracle"], state["trials"])
        for trial in self.trials.values():
            if trial.status == "running" and trial.attempts[-1].worker.startswith(LOCAL):
                self._give_back(trial, "interrupted")
            elif trial.status == "running":  # a worker elsewhere may still be at it
                self._take_up(trial)

    @property
    def _may_begin(self) -> bool:
        return not self.failure and not self.time.is_over

    def _may_choose(self) -> bool:
        with self._lock:
            room = len(self.trials) < self.settings.num_trials and not self._is_exhausted
            return room and self._may_begin and self._queued() is None

    def _queued(self) -> SearchTrial | None:
        return next((trial for trial in self.trials.values() if trial.status == "queued"), None)

    def _choose(self) -> None:
        """Ask the oracle for one more trial; the oracle's lock is held."""
        number = len(self.trials)
        chosen = self._oracle.create_trial(f"chooser-{number}")
        if chosen.status != TrialStatus.RUNNING:
            with self._lock:  # IDLE: it waits for the results of those that run
                self._is_exhausted = chosen.status == TrialStatus.STOPPED
            return
        values = dict(chosen.hyperparameters.values)
        settings = self.space.settings_dict(values)
        epochs = int(values.get("tuner/epochs", settings["training"]["epochs"]))
        parent = str(values.get("tuner/trial_id", ""))
        trial = SearchTrial(number, chosen.trial_id, values, settings, epochs, parent)
        with self._lock:
            self.trials[trial.trial_id] = trial
            self.record.write(trial, facts={"oracle": self._oracle_facts()})

    def _oracle_facts(self) -> dict[str, Any]:
        trials = {trial_id: trial.get_state() for trial_id, trial in self._oracle.trials.items()}
        return {"oracle": oracle_state(self._oracle), "trials": trials}

    def _lend(self, trial: SearchTrial, worker: str) -> None:
        trial.attempts.append(Attempt(worker, time.time()))
        trial.status, trial.history, trial.reason = "running", [], ""
        self._leases[trial.lease_id] = _Lease(trial, worker, self._clock())
        self.record.write(trial)

    def _lease(self, lease_id: str) -> _Lease | None:
        """The lease, taken up again where it had run out and nobody has the trial."""
        trial = self.trials.get(trial_id_of(lease_id))
        if trial is not None and trial.status == "queued" and trial.lease_id == lease_id and self._may_begin:
            trial.status, trial.attempts[-1].outcome, trial.attempts[-1].ended_at = "running", "running", None
            self._take_up(trial)
            self.record.write(trial)
        return self._leases.get(lease_id)

    def _take_up(self, trial: SearchTrial) -> None:
        """A lease on the last attempt again, to be stopped where that was decided."""
        worker = trial.attempts[-1].worker
        self._leases[trial.lease_id] = _Lease(trial, worker, self._clock(), is_to_stop=bool(trial.reason))

    def _note_epoch(self, lease: _Lease, metrics: Mapping[str, float], step: int) -> None:
        trial = lease.trial
        seconds = time.time() - trial.attempts[-1].started_at
        if not trial.history or trial.history[-1]["epoch"] < step:  # else told twice
            trial.history.append({"epoch": step, "seconds": seconds, **metrics})
        if self.settings.median_rule and step < trial.epochs and not lease.is_to_stop:
            others = [self._scores(other) for other in self.trials.values() if other.status in SCORED]
            if falls_behind(self._scores(trial), others):
                lease.is_to_stop, trial.reason = True, BELOW_MEDIAN
        self.record.write(trial)

    def _scores(self, trial: SearchTrial) -> list[float]:
        return [row[self.settings.objective] for row in trial.history]

    def _end(self, trial: SearchTrial, outcome: Outcome) -> None:
        trial.score, trial.figures = outcome.score, outcome.figures
        trial.status = "stopped" if trial.reason else "completed"
        self._num_consecutive_failures = 0
        self._close(trial, trial.status)
        self._oracle.update_trial(trial.trial_id, {self.settings.objective: trial.score}, step=len(trial.history))
        self._tell_oracle(trial, TrialStatus.COMPLETED)

    def _fail(self, trial: SearchTrial, error: str) -> None:
        trial.status, trial.error = "failed", error
        self._num_consecutive_failures += 1
        self._close(trial, "failed")
        if self._num_consecutive_failures >= self.settings.max_consecutive_failures:
            self.stop(f"{self._num_consecutive_failures} failed in a row, the last trial with:\n{error}")
        self._tell_oracle(trial, TrialStatus.FAILED)

    def _tell_oracle(self, trial: SearchTrial, status: str) -> None:
        known = self._oracle.get_trial(trial.trial_id)
        known.status = status
        self._oracle.end_trial(known)
        self.record.write(trial, facts={"oracle": self._oracle_facts(), "used_s": self.time.used_s})

    def _lose(self, lease: _Lease, why: str, is_final: bool) -> None:
        trial = lease.trial
        trial.losses += 1
        if is_final:
            self._fail(trial, why)
        elif trial.losses >= self.settings.max_losses:
            self._fail(trial, f"its worker was lost {trial.losses} times, the last time so: {why}")
        else:
            _log.warning("trial %s is tried again: %s", trial.trial_id, why)
            self._give_back(trial, "lost")

    def _give_back(self, trial: SearchTrial, outcome: str) -> None:
        self._close(trial, outcome)
        trial.status = "queued"
        self.record.write(trial)

    def _close(self, trial: SearchTrial, outcome: str) -> None:
        trial.attempts[-1].ended_at, trial.attempts[-1].outcome = time.time(), outcome
        for lease_id in [lease_id for lease_id, lease in self._leases.items() if lease.trial is trial]:
            del self._leases[lease_id]

    def _message(self, trial: SearchTrial) -> Trial:
        keeps_state = trial.epochs < trial.settings["training"]["epochs"]
        order = Order(trial.settings, trial.epochs, trial.trial_id, trial.parent, keeps_state)
        return Trial(pack(order), trial_id=trial.lease_id, status=TrialStatus.RUNNING)
