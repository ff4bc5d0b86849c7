"""The persistent record of a search: one SQLite file in which every change is atomic."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.errors import TrainingError
from training.tune.scheduling.trial import SearchTrial

RECORD_FILE = "search.sqlite"
#: To be increased when the tables or their bodies change their meaning.
RECORD_FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    number INTEGER PRIMARY KEY, trial_id TEXT UNIQUE NOT NULL, status TEXT NOT NULL, score REAL, body TEXT NOT NULL
);
"""


class Record:
    """The trials and facts of one search. Thread-safe; only one process may have it open, see `search.py`.

    Args:
        folder: folder of the search; created when missing.
    Raises:
        TrainingError: the file is damaged, of a newer format, or cannot be opened.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / RECORD_FILE
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(self.path, check_same_thread=False)
            with self._connection:
                self._connection.executescript(_TABLES)
            found = self.fact("format")
            if found is None:
                self.write(facts={"format": RECORD_FORMAT})
        except sqlite3.Error as error:
            raise TrainingError(
                f"{self.path} cannot be read as the record of a search: {error}; give another --search"
            ) from error
        if found not in (None, RECORD_FORMAT):
            raise TrainingError(
                f"{self.path}: expected format {RECORD_FORMAT}, found {found}; use the version of Aisle that made it"
            )

    def trials(self) -> list[SearchTrial]:
        """Return all trials, in the order in which they were chosen."""
        with self._lock:
            rows = self._connection.execute("SELECT body FROM trials ORDER BY number").fetchall()
        return [SearchTrial.from_dict(json.loads(body)) for (body,) in rows]

    def fact(self, name: str) -> Any:
        """Return a fact, None when it was never written."""
        with self._lock:
            row = self._connection.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def write(self, *trials: SearchTrial, facts: Mapping[str, Any] | None = None) -> None:
        """Write trials and facts in one transaction.

        Raises:
            TrainingError: the disk is full or read-only; earlier writes stay.
        """
        rows = [
            (trial.number, trial.trial_id, trial.status, trial.score, json.dumps(trial.to_dict())) for trial in trials
        ]
        try:
            with self._lock, self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?)", rows)
                self._connection.executemany(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                    [(name, json.dumps(value)) for name, value in (facts or {}).items()],
                )
        except sqlite3.Error as error:
            raise TrainingError(
                f"{self.path} cannot be written: {error}; free space and give the same command again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
