"""The persistent record of a search."""

from pathlib import Path

import pytest

from model.errors import TrainingError
from training.tune.scheduling.record import Record
from training.tune.scheduling.trial import Attempt, SearchTrial

TRIAL = SearchTrial(3, "03", {"fcl_dim": 8, "tuner/epochs": 2}, {"model": {"fcl_dim": 8}}, 2, "01", "running")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    TRIAL.attempts = [Attempt("w", 1.5, 2.5, "lost"), Attempt("w", 3.5)]
    TRIAL.history = [{"epoch": 1, "seconds": 0.5, "joint_accuracy": 0.123456789012345}]
    record = Record(tmp_path)
    record.write(TRIAL, facts={"oracle": {"seed": 1}})
    record.close()
    record = Record(tmp_path)
    assert record.trials() == [TRIAL]
    assert record.trials()[0].hyperparameters == {"fcl_dim": 8}
    assert record.trials()[0].lease_id == "03.2"
    assert record.fact("oracle") == {"seed": 1}
    assert record.fact("nothing") is None
    record.close()


def test_a_change_is_atomic(tmp_path: Path) -> None:
    record = Record(tmp_path)
    with pytest.raises(TypeError):
        record.write(TRIAL, facts={"fine": 1, "broken": object()})
    assert record.trials() == []
    assert record.fact("fine") is None
    record.close()


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(TrainingError, match="cannot be read as the record of a search: file is not a database; give"):
        Record(tmp_path)


def test_a_record_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.write(facts={"format": 99})
    record.close()
    with pytest.raises(TrainingError, match=r"expected format 1, found 99; use the version of Aisle that made it"):
        Record(tmp_path)
