"""Assigns trials to workers and collects their results, in place of the oracle of keras-tuner's service.

An attempt at a trial is a lease. Its worker renews it with every message. When the worker sends none for too long, or
dies, the lease expires and the trial goes to the next worker that requests one. Every decision is written to the
record before it is sent, so that a kill at any moment costs at most the running attempts.
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

from training.tune.scheduling.median_rule import is_below_median
from training.tune.scheduling.oracles import oracle_state, restore_oracle
from training.tune.scheduling.record import Record
from training.tune.scheduling.scheduler_settings import (
    BELOW_MEDIAN,
    LOCAL,
    OVER_BUDGET,
    SEARCH_STOPPED,
    SchedulerSettings,
)
from training.tune.scheduling.search_time import SearchTime
from training.tune.scheduling.trial import SCORED, Attempt, SearchTrial, trial_id_of
from training.tune.scheduling.trial_message import Job, Outcome, TrialSpec, pack, unpack_outcome
from training.tune.space.space import Space

_log = logging.getLogger("aisle.tune")


@dataclass
class _Lease:
    trial: SearchTrial
    worker: str
    seen_at: float
    is_to_stop: bool = False


class Scheduler:
    """The scheduler of a search. Thread-safe.

    Args:
        record: the persistent state; a search that it holds is resumed.
        oracle: a new one; its state is restored from the record.
        job: the settings shared by all trials.
        clock: a monotonic clock, seconds.
    Attributes:
        trials: all trials by id.
        failure: the reason why the search was stopped, "" while it was not.
    """

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
        self.failure = ""
        self._oracle = oracle
        self._clock = clock
        self._num_consecutive_failures = 0
        self._is_exhausted = False
        self._leases: dict[str, _Lease] = {}
        self._lock = threading.RLock()  # guards all of the above
        self._oracle_lock = threading.Lock()  # acquired first; choosing may take seconds, while other calls go on
        self._restore()

    # Methods called by keras-tuner's service.

    def get_space(self) -> HyperParameters:
        """Return the settings shared by all trials."""
        return pack(self.job)

    def create_trial(self, worker: str) -> Trial:
        """Assign a trial to a worker; the status is IDLE when there is none now, STOPPED when there will be none.

        A worker that requests again, for instance because the answer was lost, gets the same trial.
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
                self._start_attempt(trial, worker)
                return self._message(trial)
            status = TrialStatus.STOPPED if self.is_done else TrialStatus.IDLE
            return Trial(HyperParameters(), trial_id="", status=status)

    def update_trial(self, lease_id: str, metrics: Mapping[str, float], step: int) -> Trial:
        """Record an epoch's figures, or a heartbeat without any.

        Returns:
            A trial whose status is RUNNING to continue, STOPPED to end with the current weights, or FAILED to drop
            the attempt, because another worker has the trial or it has ended.
        """
        with self._lock:
            lease = self._lease(lease_id)
            if lease is None:
                return Trial(HyperParameters(), trial_id=lease_id, status=TrialStatus.FAILED)
            lease.seen_at = self._clock()
            if metrics:
                self._record_epoch(lease, metrics, step)
            if not self._may_begin and not lease.is_to_stop:
                lease.is_to_stop, lease.trial.reason = True, SEARCH_STOPPED if self.failure else OVER_BUDGET
            status = TrialStatus.STOPPED if lease.is_to_stop else TrialStatus.RUNNING
            return Trial(HyperParameters(), trial_id=lease_id, status=status)

    def end_trial(self, ended: Trial) -> None:
        """Record the end of an attempt: COMPLETED, FAILED, or INVALID when the worker returns the trial."""
        outcome = unpack_outcome(ended)
        with self._oracle_lock, self._lock:
            lease = self._lease(ended.trial_id)
            trial = self.trials[trial_id_of(ended.trial_id)]
            if trial.has_ended or (lease is None and ended.status != TrialStatus.COMPLETED):
                return  # a repeated message, or one of a worker that has lost the trial
            if ended.status == TrialStatus.INVALID:
                self._requeue(trial, "returned")
            elif ended.status == TrialStatus.COMPLETED:
                self._end(trial, outcome)
            else:
                self._fail(trial, outcome.error)

    # Methods called by the search.

    def worker_lost(self, worker: str, reason: str, is_final: bool = False) -> None:
        """Handle the death of a worker.

        Args:
            reason: stored with the trial.
            is_final: True to fail its trial, because that would kill the next worker, too.
        """
        with self._oracle_lock, self._lock:
            for lease in [lease for lease in self._leases.values() if lease.worker == worker]:
                self._expire_lease(lease, reason, is_final)

    def expire(self) -> None:
        """Expire the leases of workers that have sent no message for too long."""
        with self._oracle_lock, self._lock:
            for lease in list(self._leases.values()):
                idle_s = self._clock() - lease.seen_at
                if idle_s > self.settings.lease_s:
                    self._expire_lease(lease, f"its worker sent no message for {idle_s:.0f} s", is_final=False)

    def stop(self, reason: str) -> None:
        """End the search: no trial begins, running ones end at once."""
        with self._lock:
            self.failure = self.failure or reason

    @property
    def is_done(self) -> bool:
        """True when no trial is running and none will begin."""
        with self._lock:
            if self._leases:
                return False
            if not self._may_begin:
                return True
            return self._queued() is None and (self._is_exhausted or len(self.trials) >= self.settings.num_trials)

    @property
    def running(self) -> dict[str, str]:
        """The running attempts, as {trial_id: worker}."""
        with self._lock:
            return {lease.trial.trial_id: lease.worker for lease in self._leases.values()}

    def snapshot(self) -> list[SearchTrial]:
        """Return a copy of all trials."""
        with self._lock:
            return [SearchTrial.from_dict(trial.to_dict()) for trial in self.trials.values()]

    # Private methods; the caller holds the lock.

    def _restore(self) -> None:
        state = self.record.fact("oracle")
        if state is not None:
            restore_oracle(self._oracle, state["oracle"], state["trials"])
        for trial in self.trials.values():
            if trial.status == "running" and trial.attempts[-1].worker.startswith(LOCAL):
                began_at = trial.attempts[-1].started_at  # which the run may not have outlived by a `save`
                self._requeue(trial, "interrupted", max(began_at, self.time.earlier_seen_at))
            elif trial.status == "running":  # a remote worker may still be training it
                self._restore_lease(trial)

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
        """Let the oracle choose one more trial; the caller holds the oracle's lock."""
        number = len(self.trials)
        chosen = self._oracle.create_trial(f"chooser-{number}")
        if chosen.status != TrialStatus.RUNNING:
            with self._lock:  # IDLE: the oracle waits for results of running trials
                self._is_exhausted = chosen.status == TrialStatus.STOPPED
            return
        values = dict(chosen.hyperparameters.values)
        parent = str(values.get("tuner/trial_id", ""))
        if parent:  # it goes on with a state, and the first one's settings are not those that the oracle knows
            values |= self.trials[parent].hyperparameters
            settings = self.trials[parent].settings
        elif not number and self.settings.begins_with_base:
            values, settings = self.space.base_values(values), self.space.base_dict
        else:
            settings = self.space.settings_dict(values)
        epochs = int(values.get("tuner/epochs", settings["training"]["epochs"]))
        trial = SearchTrial(number, chosen.trial_id, values, settings, epochs, parent)
        with self._lock:
            self.trials[trial.trial_id] = trial
            self.record.write(trial, facts={"oracle": self._oracle_facts()})

    def _oracle_facts(self) -> dict[str, Any]:
        trials = {trial_id: trial.get_state() for trial_id, trial in self._oracle.trials.items()}
        return {"oracle": oracle_state(self._oracle), "trials": trials}

    def _start_attempt(self, trial: SearchTrial, worker: str) -> None:
        trial.attempts.append(Attempt(worker, time.time()))
        trial.status, trial.history, trial.reason = "running", [], ""
        self._leases[trial.lease_id] = _Lease(trial, worker, self._clock())
        self.record.write(trial)

    def _lease(self, lease_id: str) -> _Lease | None:
        """Return the lease of an attempt; an expired one is restored when no other worker has the trial."""
        trial = self.trials.get(trial_id_of(lease_id))
        if trial is not None and trial.status == "queued" and trial.lease_id == lease_id and self._may_begin:
            trial.status, trial.attempts[-1].outcome, trial.attempts[-1].ended_at = "running", "running", None
            self._restore_lease(trial)
            self.record.write(trial)
        return self._leases.get(lease_id)

    def _restore_lease(self, trial: SearchTrial) -> None:
        """Restore the lease on the last attempt; it is still to be stopped if that was decided."""
        worker = trial.attempts[-1].worker
        self._leases[trial.lease_id] = _Lease(trial, worker, self._clock(), is_to_stop=bool(trial.reason))

    def _record_epoch(self, lease: _Lease, metrics: Mapping[str, float], step: int) -> None:
        trial = lease.trial
        seconds = time.time() - trial.attempts[-1].started_at
        if not trial.history or trial.history[-1]["epoch"] < step:  # otherwise a repeated message
            trial.history.append({"epoch": step, "seconds": seconds, **metrics})
        if self.settings.median_rule and step < trial.epochs and not lease.is_to_stop:
            others = [self._scores(other) for other in self.trials.values() if other.status in SCORED]
            if is_below_median(self._scores(trial), others):
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
        self._update_oracle(trial, TrialStatus.COMPLETED)

    def _fail(self, trial: SearchTrial, error: str) -> None:
        trial.status, trial.error = "failed", error
        self._num_consecutive_failures += 1
        self._close(trial, "failed")
        if self._num_consecutive_failures >= self.settings.max_consecutive_failures:
            self.stop(f"{self._num_consecutive_failures} failed in a row, the last trial with:\n{error}")
        self._update_oracle(trial, TrialStatus.FAILED)

    def _update_oracle(self, trial: SearchTrial, status: str) -> None:
        known = self._oracle.get_trial(trial.trial_id)
        known.status = status
        self._oracle.end_trial(known)
        self.record.write(trial, facts={"oracle": self._oracle_facts(), **self.time.facts()})

    def _expire_lease(self, lease: _Lease, reason: str, is_final: bool) -> None:
        trial = lease.trial
        trial.losses += 1
        if is_final:
            self._fail(trial, reason)
        elif trial.losses >= self.settings.max_losses:
            self._fail(trial, f"its worker was lost {trial.losses} times, the last time: {reason}")
        else:
            _log.warning("trial %s is tried again: %s", trial.trial_id, reason)
            self._requeue(trial, "lost")

    def _requeue(self, trial: SearchTrial, outcome: str, ended_at: float | None = None) -> None:
        """Args: ended_at: seconds since 1970; None is now."""
        self._close(trial, outcome, ended_at)
        trial.status = "queued"
        self.record.write(trial)

    def _close(self, trial: SearchTrial, outcome: str, ended_at: float | None = None) -> None:
        trial.attempts[-1].ended_at = time.time() if ended_at is None else ended_at
        trial.attempts[-1].outcome = outcome
        for lease_id in [lease_id for lease_id, lease in self._leases.items() if lease.trial is trial]:
            del self._leases[lease_id]

    def _message(self, trial: SearchTrial) -> Trial:
        keeps_state = trial.epochs < trial.settings["training"]["epochs"]
        spec = TrialSpec(trial.settings, trial.epochs, trial.trial_id, trial.parent, keeps_state)
        return Trial(pack(spec), trial_id=trial.lease_id, status=TrialStatus.RUNNING)
